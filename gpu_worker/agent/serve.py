"""The process of an agent: one in each data folder, ended by Ctrl-C or a service manager."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from gpu_worker.agent.agent import Agent
from gpu_worker.agent.stock import StockPlaces, StockRules
from gpu_worker.agent.times import AgentTimes
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.link import LinkTimes
from gpu_worker.protocol.nats.subjects import Subjects

__all__ = ["OUTBOX", "TAKEN", "serve_agent"]

log = logging.getLogger(__name__)

OUTBOX = "remote-outbox"
"""In the data folder; not `outbox`, which a bot on the same machine takes for its own workers'."""
INTERRUPTED = 130
TAKEN = 75
"""Exit code: another agent works in this folder."""


def serve_agent(
    access: Access | str,
    machine: str,
    *,
    commands: Sequence[ChildCommand],
    outbox: Path,
    places: StockPlaces,
    rules: StockRules | None = None,
    subjects: Subjects | None = None,
    times: AgentTimes | None = None,
    link_times: LinkTimes | None = None,
    lock_s: float = 5.0,
    on_start: Callable[[], None] = lambda: None,
) -> int:
    """Serves the bot behind the broker until it is told to end. Returns the exit code. Raises OSError where the folders
    cannot be made.

    `lock_s`: how long an earlier agent may take to end; `on_start` is called once the folder is ours.
    """
    outbox.mkdir(parents=True, exist_ok=True)
    lock = FileLock(outbox / "agent.lock")
    try:
        lock.acquire(timeout=lock_s)
    except Timeout:
        log.error("another agent works in this folder; stop that one, or give %s a data folder of its own", machine)
        return TAKEN

    async def run() -> None:
        agent = Agent(
            access, machine, commands=commands, outbox=outbox, places=places, rules=rules, subjects=subjects,
            times=times, link_times=link_times,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: _soon(loop, agent.stop))
        await agent.run()
        if agent.hurried:
            logging.shutdown()
            os._exit(INTERRUPTED)  # a file that is being looked through in a thread would be waited for

    try:
        on_start()
        asyncio.run(run())
    finally:
        lock.release()
    return 0


def _soon(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # it has ended already
        loop.call_soon_threadsafe(what)
