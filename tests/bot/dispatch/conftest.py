"""A dispatcher over a real database and a transport made of lists."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from bot.dispatch.dispatcher import Dispatcher, Leases
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.domain.ids import JobId
from bot.domain.job import Job
from bot.storage.database import Database, open_database
from bot.storage.facts import Timings
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.kept_parts import KeptParts
from bot.storage.scripts import Scripts
from bot.storage.trainings import Trainings
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ImageRef
from tests.contract.farm import Recorder, new_job


class FakeTransport:
    """Says what it is told to say, remembers what it was given."""

    def __init__(self, folder: Path) -> None:
        self.connected = True
        self.answer: bool | None = True
        self.assigned: list[m.Assign] = []
        self.sent: list[tuple[str, m.ToWorker]] = []
        self.settled_entries: list[m.Settled] = []
        self.taken_parts: list[m.Partial] = []
        self.inputs: list[bytes] = []
        self.failing: Exception | None = None
        self._folder = folder

    async def start(self, on_message, on_gone) -> None: ...

    async def stop(self) -> None: ...

    async def assign(self, worker: str, message: m.Assign) -> bool | None:
        self.assigned.append(message)
        if self.failing:
            raise self.failing
        return self.answer

    async def send(self, worker: str, message: m.ToWorker) -> None:
        self.sent.append((worker, message))

    async def fetch(self, done: m.Done, output: m.Output) -> Path:
        return self._folder / output.blob

    async def settled(self, message: m.Settled) -> None:
        self.settled_entries.append(message)

    async def taken(self, part: m.Partial) -> None:
        self.taken_parts.append(part)

    async def put_file(self, path: Path, sha256: str, mime: str) -> ImageRef:
        return ImageRef(ref=sha256, sha256=sha256, mime=mime, size_bytes=path.stat().st_size)

    async def put_input(self, data: bytes, mime: str) -> ImageRef:
        self.inputs.append(data)
        digest = hashlib.sha256(data).hexdigest()
        return ImageRef(ref=digest, sha256=digest, mime=mime, size_bytes=len(data))

    def cancels(self, worker: str) -> list[tuple[str, int, str]]:
        return [(c.job, c.attempt, c.reason) for w, c in self.sent if w == worker and isinstance(c, m.Cancel)]


class Desk:
    """The dispatcher under test, with its clock in our hand."""

    leases = Leases(heartbeat_s=1.0, lease_s=10.0, restart_grace_s=30.0)

    def __init__(self, root: Path, database: Database) -> None:
        self.now = 1000.0
        self.database = database
        self.jobs = Jobs(database)
        self.images = Images(database, root / "outputs")
        self.timings = Timings(database)
        self.blobs = root / "blobs"
        self.blobs.mkdir(exist_ok=True)
        self.transport = FakeTransport(self.blobs)
        self.seen = Recorder()
        self.settler = Settler(
            database=database,
            jobs=self.jobs,
            images=self.images,
            transport=self.transport,
            parts=KeptParts(database, root / "parts"),
            trainings=Trainings(database, root / "trainings"),
        )
        self.dispatcher = Dispatcher(
            jobs=self.jobs, scripts=Scripts(database), timings=self.timings, settler=self.settler,
            resolver=SpecResolver(
                jobs=self.jobs,
                images=self.images,
                inputs=InputPictures(database, root / "inputs"),
                transport=self.transport,
            ),
            transport=self.transport, listener=self.seen, leases=self.leases, clock=lambda: self.now,
        )  # fmt: skip
        self.held_back: set[asyncio.Task[None]] = set()
        """Sends that the test itself keeps waiting."""
        self._blob = itertools.count()

    async def hello(self, worker: str = "w1", **fields) -> None:
        facts = tuple(m.ModelFact(kind="checkpoint", name=name) for name in fields.pop("models", ("m1", "m2")))
        boot = fields.pop("boot", f"boot of {worker}")
        await self.dispatcher.on_message(
            m.Hello(worker=worker, app_version="1", boot=boot, name=worker, models=facts, **fields)
        )
        await self.quiet()

    async def beat(self, worker: str = "w1", *running: tuple[str, int, str], boot: str | None = None) -> None:
        listed = tuple(m.Running(job=job, attempt=attempt, phase=phase) for job, attempt, phase in running)
        await self.dispatcher.on_message(m.Heartbeat(worker=worker, boot=boot or f"boot of {worker}", running=listed))

    async def submit(self, words: str = "x", **options) -> JobId:
        job_id, _ = await self.dispatcher.submit(new_job(words, **options))
        await self.quiet()
        return job_id

    async def done(self, worker: str, job: str, attempt: int, content: bytes = b"picture", **fields) -> None:
        blob = f"blob{next(self._blob)}"
        (self.blobs / blob).write_bytes(content)
        output = m.Output(
            blob=blob, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), mime="image/png",
            width=64, height=64, seed=7, infotext="",
        )  # fmt: skip
        await self.dispatcher.on_message(m.Done(worker=worker, job=job, attempt=attempt, outputs=(output,), **fields))
        await self.quiet()

    async def lapse(self, seconds: float) -> None:
        """Time passes, and the leases are looked at."""
        self.now += seconds
        await self.dispatcher._losses.check()
        await self.quiet()

    async def quiet(self) -> None:
        """Until the pump has handed out what it can, and waits for the next change."""
        floor = self.dispatcher._floor
        async with asyncio.timeout(60):
            while floor.wake.is_set() or not floor.wake._waiters or floor.sends - self.held_back:
                await asyncio.sleep(0.005)

    async def job(self, job_id: str) -> Job:
        job = await self.jobs.get(JobId(job_id))
        assert job is not None
        return job


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    opened = await open_database(tmp_path / "pincel.sqlite")
    yield opened
    await opened.close()


@pytest.fixture
async def desk(tmp_path: Path, database: Database) -> AsyncGenerator[Desk]:
    made = Desk(tmp_path, database)
    await made.dispatcher.start()
    yield made
    await made.dispatcher.stop()
