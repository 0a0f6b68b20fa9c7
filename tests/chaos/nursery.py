"""Starts processes that need no import any more: a helper that has imported everything and forks what it is asked for.

It ends with whoever has it, and everything that it started with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["Nursery", "fork_nursery"]

NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of Linux."""
WORK: dict[str, Callable[[dict[str, Any]], int]] = {}
"""What can be started, by name; filled before the nursery is forked."""


def fork_nursery() -> socket.socket:
    """To be called before there is any thread or event loop; for `Nursery`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        return ours
    ours.close()
    code = 1
    try:
        _nurse(theirs)
        code = 0
    finally:
        os._exit(code)


def _nurse(wishes: socket.socket) -> None:
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([wishes], [], [], 0.02)
        if readable:
            data = wishes.recv(65536)
            if not data:
                break
            wish = json.loads(data)
            pid = os.fork()
            if not pid:
                wishes.close()
                _begin(wish)
            children.add(pid)
            wishes.send(json.dumps({"wish": wish["number"], "pid": pid}).encode())
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                children.discard(ended[0])
                wishes.send(json.dumps({"ended": ended[0], "code": os.waitstatus_to_exitcode(ended[1])}).encode())
    for pid in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            pass  # what they used is counted


def _begin(wish: dict[str, Any]) -> None:
    code = 1
    try:
        os.setsid()
        log = os.open(wish["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if wish["beside"]:
            _enter_network(wish["beside"])
        code = WORK[wish["work"]](wish["told"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _enter_network(pid: int) -> None:
    file = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(file, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(file)


def own_network(_: dict[str, Any]) -> int:
    """Holds a network of its own, which others enter."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
        return 1
    while True:
        time.sleep(3600)


WORK["network"] = own_network


class Nursery:
    """The conductor's side."""

    def __init__(self, wishes: socket.socket, on_end: Callable[[int, int], None]) -> None:
        """`on_end` hears a process's number and exit code (below 0: the signal)."""
        self._wishes = wishes
        self._wishes.setblocking(False)
        self._on_end = on_end
        self._numbers = itertools.count()
        self._begun: dict[int, asyncio.Future[int]] = {}
        asyncio.get_running_loop().add_reader(self._wishes, self._hear)

    async def start(self, work: str, told: dict[str, Any], log: str, beside: int = 0) -> int:
        """Its process number; `beside`: whose network it shares."""
        number = next(self._numbers)
        begun = self._begun[number] = asyncio.get_running_loop().create_future()
        wish = {"number": number, "work": work, "told": told, "log": log, "beside": beside}
        self._wishes.send(json.dumps(wish).encode())
        return await begun

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._wishes)
        self._wishes.close()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := self._wishes.recv(65536):
                said = json.loads(data)
                if "wish" in said:
                    self._begun.pop(said["wish"]).set_result(said["pid"])
                else:
                    self._on_end(said["ended"], said["code"])
