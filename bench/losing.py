"""How soon a job is drawn elsewhere once its worker is dead: real agents and engines, a real broker, `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from bench.dispatching import dispatcher_over
from bench.mailbox import own_broker
from bench.report import Figure
from bot.dispatch.dispatcher import Dispatcher, Leases
from bot.dispatch.nats.transport import NatsTransport
from bot.domain.ids import ChannelId, JobId, UserId, new_job_id
from bot.domain.job import Action, NewJob
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Txt2Img

__all__ = ["measure"]

CHECKOUT = Path(__file__).parents[1]
DEMO = CHECKOUT / "data" / "demo"
MACHINES = ("attic", "garage")
LEASES = Leases()
MARGIN_S = 2.0
PATIENCE_S = 300.0


class _Watcher:
    """The listener: who draws what, as soon as it says so."""

    def __init__(self) -> None:
        self._seen: dict[tuple[JobId, int], m.Progress] = {}
        self._news = asyncio.Event()

    def progressed(self, progress: m.Progress) -> None:
        self._seen[JobId(progress.job), progress.attempt] = progress
        self._news.set()

    def queue_changed(self) -> None:
        self._news.set()

    def saved(self, job_id: JobId, name: str) -> None: ...

    def ended(self, job_id: JobId) -> None:
        self._news.set()

    async def drawer(self, job: JobId, attempt: int, *, in_the_middle: bool = True) -> str:
        """Once it has begun with it, or is in the middle of it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen = self._seen.get((job, attempt))
                if seen is not None and (seen.phase == "sampling" or not in_the_middle):
                    return seen.worker
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def _machine(name: str, url: str, root: Path) -> AsyncIterator[psutil.Process]:
    argv = ("--nats", url, "--name", name, "--data", str(root / name), "--demo", str(DEMO), "--cards", "cpu")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gpu_worker", *argv, cwd=CHECKOUT, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    try:
        yield psutil.Process(process.pid)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            _kill(_with_children(psutil.Process(process.pid)))
        await process.wait()


def _with_children(agent: psutil.Process) -> list[psutil.Process]:
    return [agent, *agent.children(recursive=True)]


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


async def _lasting_job(dispatcher: Dispatcher) -> JobId:
    """Of half a minute or more on any processor."""
    spec = Txt2Img(prompt="a red apple", checkpoint="pincel-demo", width=512, height=512, seed=7, count=1, steps=150)
    job = new_job_id()
    await dispatcher.submit(
        NewJob(id=job, action=Action.IMAGINE, user_id=UserId(1), channel_id=ChannelId(5), task=spec)
    )
    return job


async def measure() -> list[Figure]:
    """A machine's card's process is killed in mid-picture, then a whole machine. Raises RuntimeError, TimeoutError."""
    with tempfile.TemporaryDirectory(prefix="pincel-bench-", ignore_cleanup_errors=True) as name:
        root, watcher = Path(name), _Watcher()
        (root / "broker").mkdir()
        async with contextlib.AsyncExitStack() as stack:
            _, url = await stack.enter_async_context(own_broker(root / "broker"))
            transport = NatsTransport(url, root=root / "landed")
            dispatcher, _ = await stack.enter_async_context(dispatcher_over(transport, root, watcher, LEASES))
            await dispatcher.start()
            machines = {each: await stack.enter_async_context(_machine(each, url, root)) for each in MACHINES}
            await _all_there(dispatcher)
            job = await _lasting_job(dispatcher)
            drawer = await watcher.drawer(job, 1)
            card_s = await _drawn_elsewhere_s(watcher, job, 1, machines[drawer].children())
            await _all_there(dispatcher)  # the first one's next process comes; the job is with the other
            drawer = await watcher.drawer(job, 2)
            machine_s = await _drawn_elsewhere_s(watcher, job, 2, _with_children(machines[drawer]))
            await dispatcher.cancel(job, UserId(1))
    topic = f"A picture whose worker is killed is begun again (lease {LEASES.lease_s:g} s)"
    goal_s = LEASES.lease_s + MARGIN_S
    return [
        Figure(topic, "a card's process killed", card_s, "s", goal=goal_s, sense="<="),
        Figure(topic, "a whole machine killed", machine_s, "s", goal=goal_s, sense="<="),
        Figure(topic, "a whole machine killed ÷ lease", machine_s / LEASES.lease_s, goal=goal_s / LEASES.lease_s,
               sense="<="),
    ]  # fmt: skip


async def _drawn_elsewhere_s(watcher: _Watcher, job: JobId, attempt: int, dead: list[psutil.Process]) -> float:
    """From the kill until another begins with it; it may have to read the checkpoint then."""
    _kill(dead)
    started = time.perf_counter()
    await watcher.drawer(job, attempt + 1, in_the_middle=False)
    return time.perf_counter() - started


async def _all_there(dispatcher: Dispatcher) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while sum(view.takes_work for view in dispatcher.workers) < len(MACHINES):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
