"""How fast the real dispatcher hands out, over a real database, with workers that draw nothing.

The workers live in this process and answer at once, or after as long as a picture takes; everything else, from the
claim in the table to the stored picture, is what the bot does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.report import Figure
from bot.dispatch.dispatcher import Dispatcher, Leases, Listener
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.dispatch.transport import BotTransport, OnGone, OnMessage
from bot.domain.ids import ChannelId, JobId, UserId, new_job_id
from bot.domain.job import Action, NewJob
from bot.storage.database import open_database
from bot.storage.facts import Timings
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.scripts import Scripts
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ImageRef, Txt2Img

__all__ = ["dispatcher_over", "measure"]

LEASES = Leases(lease_s=600.0)
PICTURE = b"\x89PNG"
WORKERS = 4
DRAWS_S = 0.1
"""For how the work scales: as long as the fastest cards take for the smallest picture."""


class _Workers:
    """A transport and the workers at its other end."""

    def __init__(self, folder: Path, draws_s: float) -> None:
        self.connected = True
        self._folder = folder
        self._draws_s = draws_s
        self._ends: set[asyncio.Task[None]] = set()
        self._turn: dict[str, asyncio.Lock] = {}

    async def start(self, on_message: OnMessage, on_gone: OnGone) -> None:
        self._say = on_message

    async def enter(self, names: list[str], models: int) -> None:
        facts = tuple(m.ModelFact(kind="checkpoint", name=f"m{n}") for n in range(models))
        for n, name in enumerate(names):
            self._turn[name] = asyncio.Lock()
            loaded = f"m{n % models}"
            await self._say(
                m.Hello(worker=name, app_version="1", boot=name, name=name, models=facts, gpu="card", loaded=loaded)
            )

    async def stop(self) -> None:
        for task in self._ends:
            task.cancel()
        await asyncio.gather(*self._ends, return_exceptions=True)

    async def assign(self, worker: str, message: m.Assign) -> bool | None:
        task = asyncio.create_task(self._draw(worker, message))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)
        return True

    async def _draw(self, worker: str, given: m.Assign) -> None:
        async with self._turn[worker]:
            await asyncio.sleep(self._draws_s)
        name = f"{given.job}.{given.attempt}"
        (self._folder / name).write_bytes(PICTURE)
        output = m.Output(
            blob=name, size_bytes=len(PICTURE), sha256=hashlib.sha256(PICTURE).hexdigest(), mime="image/png",
            width=64, height=64, seed=7, infotext="",
        )  # fmt: skip
        await self._say(m.Done(worker=worker, job=given.job, attempt=given.attempt, outputs=(output,), run_s=1.0))

    async def send(self, worker: str, message: m.ToWorker) -> None: ...

    async def fetch(self, done: m.Done | m.Partial, output: m.Output) -> Path:
        return self._folder / output.blob

    async def settled(self, message: m.Settled) -> None: ...

    async def taken(self, part: m.Partial) -> None: ...

    async def put_file(self, path: Path, sha256: str, mime: str) -> ImageRef:
        raise NotImplementedError

    async def put_input(self, data: bytes, mime: str) -> ImageRef:
        raise NotImplementedError


class _Ends:
    """The listener: counts who is told."""

    def __init__(self) -> None:
        self.count = 0
        self.wanted = 0
        self.reached = asyncio.Event()

    def progressed(self, progress: m.Progress) -> None: ...

    def queue_changed(self) -> None: ...

    def saved(self, job_id: JobId, name: str) -> None: ...

    def ended(self, job_id: JobId) -> None:
        self.count += 1
        if self.count >= self.wanted:
            self.reached.set()


@contextlib.asynccontextmanager
async def dispatcher_over(
    transport: BotTransport, root: Path, listener: Listener, leases: Leases
) -> AsyncIterator[tuple[Dispatcher, Jobs]]:
    """Over a database of its own in `root`; not started yet."""
    database = await open_database(root / "pincel.sqlite")
    try:
        jobs, images = Jobs(database), Images(database, root / "outputs")
        inputs = InputPictures(database, root / "inputs")
        dispatcher = Dispatcher(
            jobs=jobs, scripts=Scripts(database), timings=Timings(database),
            settler=Settler(database=database, jobs=jobs, images=images, transport=transport),
            resolver=SpecResolver(jobs=jobs, images=images, inputs=inputs, transport=transport),
            transport=transport, listener=listener, leases=leases,
        )  # fmt: skip
        yield dispatcher, jobs
        await dispatcher.stop()
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def _dispatcher(draws_s: float) -> AsyncIterator[tuple[Dispatcher, Jobs, _Workers, _Ends]]:
    with tempfile.TemporaryDirectory(prefix="pincel-bench-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        (root / "blobs").mkdir()
        workers, ends = _Workers(root / "blobs", draws_s), _Ends()
        async with dispatcher_over(workers, root, ends, LEASES) as (dispatcher, jobs):
            yield dispatcher, jobs, workers, ends


def _job(n: int, users: int, models: int) -> NewJob:
    spec = Txt2Img(prompt="x", checkpoint=f"m{n // users % models}", width=64, height=64, seed=7, count=1, steps=10)
    return NewJob(
        id=new_job_id(), action=Action.IMAGINE, user_id=UserId(1 + n % users), channel_id=ChannelId(5), task=spec
    )


@dataclass(frozen=True)
class _Rate:
    a_second: float
    cpu_s: float
    """Of this process, workers and all, for each job."""


async def _rate(waiting: int, users: int, workers: int, *, ends: int, draws_s: float = 0.0, models: int = 4) -> _Rate:
    """From the first hand-out until so many have ended, of a queue that waits already."""
    async with _dispatcher(draws_s) as (dispatcher, jobs, fakes, told):
        told.wanted = ends
        for n in range(waiting):
            await jobs.add(_job(n, users, models))
        await dispatcher.start()
        started, cpu_s = time.perf_counter(), time.process_time()
        await fakes.enter([f"w{n}" for n in range(workers)], models)
        await told.reached.wait()
        return _Rate(ends / (time.perf_counter() - started), (time.process_time() - cpu_s) / ends)


async def measure(*, large: bool) -> list[Figure]:
    topic = "The dispatcher, from the claim to the stored picture"
    size = 2000 if large else 400
    usual = await _rate(size, 50, WORKERS, ends=size)
    one = await _rate(40, 5, 1, ends=30, draws_s=DRAWS_S)
    four = await _rate(160, 5, WORKERS, ends=120, draws_s=DRAWS_S)
    name = f"{size} jobs, 50 users, {WORKERS} workers"
    figures = [
        Figure(topic, f"{name}: jobs a second", usual.a_second),
        Figure(topic, f"{name}: processor time of a job", usual.cpu_s * 1000, "ms", goal=10, sense="<="),
        Figure(topic, f"rate of 1 worker ÷ of {WORKERS}, each {DRAWS_S:g} s a job", one.a_second / four.a_second,
               goal=1 / 3.8, sense="<="),
    ]  # fmt: skip
    if large:
        many = await _rate(10_000, 10_000, 1000, ends=2000)
        name = "10,000 jobs, 10,000 users, 1,000 workers"
        figures.append(Figure(topic, f"{name}: jobs a second", many.a_second))
        figures.append(Figure(topic, f"{name}: processor time of a job", many.cpu_s * 1000, "ms"))
    return figures
