"""A bot without Discord: real database, real dispatcher, real transport, and a listener that records."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from bot.dispatch.dispatcher import Dispatcher, Leases
from bot.dispatch.needs import ModelNeeds
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.domain.ids import ChannelId, JobId, UserId, new_job_id
from bot.domain.job import Action, Job, JobStatus, Lane, NewJob
from bot.storage.database import Database, open_database
from bot.storage.facts import Timings
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.kept_parts import KeptParts
from bot.storage.scripts import Scripts
from bot.storage.trainings import Trainings
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Txt2Img
from tests.contract.kits import Kit
from tests.contract.stub_engine import picture_bytes

LEASES = Leases(heartbeat_s=0.1, lease_s=1.0, restart_grace_s=8.0, quiet_s=0.2)
PATIENCE_S = 30.0
"""Generous: a test waits this long only when it is about to fail."""


class Recorder:
    """The dispatcher's listener."""

    def __init__(self) -> None:
        self.progress: list[m.Progress] = []
        self.changes = 0
        self.ends: list[JobId] = []
        self.saves: list[tuple[JobId, str]] = []

    def progressed(self, progress: m.Progress) -> None:
        self.progress.append(progress)

    def queue_changed(self) -> None:
        self.changes += 1

    def ended(self, job_id: JobId) -> None:
        self.ends.append(job_id)

    def saved(self, job_id: JobId, name: str) -> None:
        self.saves.append((job_id, name))


def new_job(
    words: str,
    *,
    user: int = 1,
    model: str = "m1",
    lane: Lane = Lane.INTERACTIVE,
    interaction: int | None = None,
    count: int = 1,
    steps: int = 10,
) -> NewJob:
    job_id = new_job_id()
    prompt = words if "label:" in words else f"label:{job_id} {words}"
    spec = Txt2Img(prompt=prompt, checkpoint=model, width=64, height=64, seed=7, count=count, steps=steps)
    return NewJob(
        id=job_id, action=Action.IMAGINE, user_id=UserId(user), channel_id=ChannelId(5), task=spec, lane=lane,
        interaction_id=interaction,
    )  # fmt: skip


class Farm:
    def __init__(
        self,
        root: Path,
        kit: Kit,
        database: Database,
        workers: tuple[str, ...],
        leases: Leases,
        needs: ModelNeeds | None = None,
    ) -> None:
        self.root = root
        self.kit = kit
        self.database = database
        self.jobs = Jobs(database)
        self.images = Images(database, root / "outputs")
        self.timings = Timings(database)
        self.transport = kit.make(root, workers)
        self.settler = Settler(
            database=database,
            jobs=self.jobs,
            images=self.images,
            transport=self.transport,
            parts=KeptParts(database, root / "parts"),
            trainings=Trainings(database, root / "trainings"),
        )
        self.seen = Recorder()
        self.dispatcher = Dispatcher(
            jobs=self.jobs,
            scripts=Scripts(database),
            timings=self.timings,
            settler=self.settler,
            resolver=SpecResolver(
                jobs=self.jobs,
                images=self.images,
                inputs=InputPictures(database, root / "inputs"),
                transport=self.transport,
            ),
            transport=self.transport,
            listener=self.seen,
            leases=leases,
            needs=needs,
        )

    async def submit(self, words: str = "", **options: object) -> JobId:
        job_id, _ = await self.dispatcher.submit(new_job(words, **options))  # pyright: ignore[reportArgumentType]
        return job_id

    async def job(self, job_id: JobId) -> Job:
        job = await self.jobs.get(job_id)
        assert job is not None
        return job

    async def ended(self, job_ids: Iterable[JobId]) -> list[JobStatus]:
        """Waits until all of them are neither queued nor running, and the listener has been told."""
        wanted = list(job_ids)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                statuses = [(await self.job(job_id)).status for job_id in wanted]
                if not any(status.waiting for status in statuses) and set(wanted) <= set(self.seen.ends):
                    return statuses
                await asyncio.sleep(0.02)

    async def running(self, job_id: JobId) -> None:
        """Waits until a worker has shown that it draws it."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(p.job == job_id and p.phase == "sampling" for p in self.seen.progress):
                await asyncio.sleep(0.005)

    async def workers_ready(self, count: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.dispatcher.workers) < count:
                await asyncio.sleep(0.01)

    def journal(self) -> collections.Counter[str]:
        """How often each line was written: `start NAME`, `end NAME`, `cancelled NAME`, `load MODEL`."""
        path = self.root / "journal"
        return collections.Counter(path.read_text().splitlines() if path.exists() else [])

    def starts(self) -> list[str]:
        """Labels in the order in which drawing began."""
        path = self.root / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.removeprefix("start ") for line in lines if line.startswith("start ")]

    async def check_delivered_once(self, job_ids: Iterable[JobId]) -> None:
        """Every job done, told once at most, by exactly one attempt, with exactly its pictures, and no litter left."""
        told = collections.Counter(self.seen.ends)
        for job_id in job_ids:
            job = await self.job(job_id)
            assert job.status is JobStatus.DONE, (job_id, job.status, job.failure_kind)
            assert told[job_id] <= 1
            row = await self.database.one(
                "SELECT count(*) AS n FROM attempts WHERE job_id = ? AND outcome = 'done'", (job_id,)
            )
            assert row is not None
            assert row["n"] <= 1
            pictures = await self.images.of_job(job_id)
            assert [p.index for p in pictures] == list(range(job.spec.count))
            label = job.spec.prompt.split()[0].removeprefix("label:")
            for picture in pictures:
                assert await self.images.read(picture) == picture_bytes(label, picture.seed)
        files = [path for path in (self.root / "outputs").rglob("*") if path.is_file()]
        row = await self.database.one("SELECT count(*) AS n FROM images")
        assert row is not None
        assert len(files) == row["n"]

    async def settled(self, workers: Iterable[str]) -> None:
        """Waits until nothing lies in any outbox."""
        async with asyncio.timeout(PATIENCE_S):
            for worker in workers:
                box = self.kit.box(self.root, worker)
                while box.exists() and any(box.iterdir()):
                    await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def open_farm(
    root: Path,
    kit: Kit,
    *workers: str,
    leases: Leases = LEASES,
    start: bool = True,
    needs: ModelNeeds | None = None,
) -> AsyncGenerator[Farm]:
    database = await open_database(root / "pincel.sqlite")
    try:
        farm = Farm(root, kit, database, workers or ("w1",), leases, needs)
        await farm.timings.load()
        if start:
            await farm.dispatcher.start()
        try:
            yield farm
        finally:
            await farm.dispatcher.stop()
    finally:
        await database.close()
