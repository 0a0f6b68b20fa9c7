"""One embedded worker: a child process whose stdin and stdout carry frames."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_worker.language.log_lines import message_of
from gpu_worker.protocol.frames import FrameError, Unframer, frame
from gpu_worker.protocol.specs import Wire

__all__ = ["Child", "ChildCommand"]

log = logging.getLogger(__name__)

READ_BYTES = 64 * 1024
TAIL_BYTES = 2000
LOG_LIMIT_BYTES = 5_000_000
SEND_TIMEOUT_S = 5.0
# A Ctrl-C in the terminal reaches the whole group; the bot decides when its worker stops.
_OWN_GROUP: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {"start_new_session": True}
)


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """How to start a worker: `argv` without its name, and where its own output goes."""

    argv: Sequence[str]
    log_file: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])


class Child:
    def __init__(self, process: asyncio.subprocess.Process, log_file: Path, log_start: int) -> None:
        self._process = process
        self._log_file = log_file
        self._log_start = log_start
        self._drain_turn = asyncio.Lock()
        self.silence_s = math.inf
        """How long `frames` waits for the next byte before it takes the whole process for hung, and kills it."""
        self.spoke = False
        """It has said hello."""

    @classmethod
    async def spawn(cls, command: ChildCommand, name: str) -> Child:
        """Raises OSError where the program cannot be started."""
        stderr, log_start = await asyncio.to_thread(_open_log, command.log_file)
        try:
            starting = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    *command.argv,
                    "--name",
                    name,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, **command.environment},
                    **_OWN_GROUP,
                )
            )
            try:
                process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # Cancelled inside, Python 3.11 waits for ever for pipes that were never connected.
                process = await starting
                process.kill()
                await process.communicate()
                raise
        finally:
            os.close(stderr)
        return cls(process, command.log_file, log_start)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, message: Wire) -> bool | None:
        """True handed to the pipe, False the child is gone, None it does not read (yet), and may later. Bounded."""
        stdin = self._process.stdin
        if stdin is None or self._process.returncode is not None or stdin.is_closing():
            return False
        data = frame(message)
        try:
            # Before any waiting: of a message whose turn never came, nobody would know that the child has not got it.
            stdin.write(data)
            async with asyncio.timeout(SEND_TIMEOUT_S), self._drain_turn:
                await stdin.drain()
        except (BrokenPipeError, ConnectionResetError, RuntimeError):
            return False
        except TimeoutError:
            return None
        return True

    async def frames(self) -> AsyncGenerator[dict[str, Any]]:
        """Until the child closes its end. A damaged stream ends it too: it cannot be trusted further.

        So does silence for `silence_s`: a process in which not even the heartbeat runs will not recover by itself.
        """
        stdout = self._process.stdout
        if stdout is None:
            return
        unframer = Unframer()
        try:
            while True:
                async with asyncio.timeout(self.silence_s if self.silence_s < math.inf else None):
                    data = await stdout.read(READ_BYTES)
                if not data:
                    return
                for raw in unframer.feed(data):
                    yield raw
        except FrameError:
            log.exception("worker %s sent what is no frame; it is stopped", self.pid)
            self.kill()
        except TimeoutError:
            log.error("worker %s said nothing for %g s; it is stopped", self.pid, self.silence_s)
            self.kill()

    async def wait(self) -> int:
        return await self._process.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self, grace_s: float) -> None:
        """Closes its stdin, which asks it to end; kills it after `grace_s`."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    async def last_words(self) -> str:
        """The last line of this life's output, for the operator; empty where it said nothing."""
        return await asyncio.to_thread(self._read_last_words)

    def _read_last_words(self) -> str:
        with contextlib.suppress(OSError), self._log_file.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, file.tell() - TAIL_BYTES))
            lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
            return message_of(lines[-1].strip()) if lines else ""
        return ""


def _open_log(path: Path) -> tuple[int, int]:
    """Opened for appending, with the place where this life begins; a file over the limit becomes `<name>.old` first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # none yet, or another worker has it open on Windows
        if path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_name(path.name + ".old"))
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    return opened, os.fstat(opened).st_size
