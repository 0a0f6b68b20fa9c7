"""Each saved epoch of a training draws its samples: an ordinary job of its user's that has no card of its own.

Everything is read off the table, so whoever died goes on. A file's samples have a job whose id follows from the
file, and its row names that job once it is there: so each epoch draws once, wherever somebody died.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable

from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import JobId
from bot.domain.job import Action, Job, Lane, NewJob
from bot.domain.limits import Limits
from bot.domain.model_rules import Where
from bot.domain.training.sampling import build_samples, with_epoch
from bot.errors import UserFacingError
from bot.storage.jobs import Jobs
from bot.storage.trainings import SavedFile, Training, Trainings
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.safety.request import JobRequest
from gpu_worker.protocol.specs import Txt2Img

__all__ = ["SampleRunner"]

log = logging.getLogger(__name__)

RETRY_S = 5.0


class SampleRunner:
    def __init__(
        self,
        *,
        trainings: Trainings,
        jobs: Jobs,
        intake: Intake,
        models: Models,
        dispatcher: Dispatcher,
        limits: Limits,
    ) -> None:
        self._trainings = trainings
        self._jobs = jobs
        self._intake = intake
        self._models = models
        self._dispatcher = dispatcher
        self._limits = limits
        self._queue: asyncio.Queue[JobId] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.sampled: Callable[[JobId], None] | None = None
        """Told of a training whose epoch draws, or has drawn."""

    async def start(self) -> None:
        for job_id in dict.fromkeys(job_id for job_id, _ in await self._trainings.unsampled()):
            self._queue.put_nowait(job_id)
        self._spawn(self._work(), "training-samples")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def saved(self, job_id: JobId) -> None:
        """A file of this training has arrived."""
        self._dispatcher.rescan()
        self._queue.put_nowait(job_id)

    # --- work ---------------------------------------------------------------------------------------------------------

    def _spawn(self, coroutine: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        while True:
            job_id = await self._queue.get()
            try:
                await self._look(job_id)
            except Exception:
                log.exception("samples of training %s could not be asked for; that is tried again", job_id)
                self._spawn(self._later(job_id), f"samples-later-{job_id}")

    async def _later(self, job_id: JobId) -> None:
        await asyncio.sleep(RETRY_S)
        self._queue.put_nowait(job_id)

    async def _look(self, job_id: JobId) -> None:
        training, job = await self._trainings.get(job_id), await self._jobs.get(job_id)
        if training is None or job is None or not training.samples:
            return
        wanted = {name for _, name in await self._trainings.unsampled(job_id)}
        for file in await self._trainings.files(job_id):
            if file.name in wanted:
                sample_id = _sample_id(file)
                if await self._jobs.get(sample_id) is None and not await self._submit(job, training, file, sample_id):
                    sample_id = JobId("")
                await self._trainings.set_sample(job_id, file.name, sample_id)
                if self.sampled is not None:
                    self.sampled(job_id)

    async def _submit(self, job: Job, training: Training, file: SavedFile, sample_id: JobId) -> bool:
        """False where it may not, or cannot, be drawn."""
        try:
            spec = self._spec(job, training, file)
            where = Where(job.guild_id, job.channel_id, frozenset(), job.user_id)
            await self._intake.check(JobRequest(job.user_id, spec, Action.SAMPLE, where, job.locale))
        except UserFacingError as refusal:
            # The base went, or rules changed: its files are worth no less.
            log.info("epoch %s of training %s draws no samples: %s", file.epoch, job.id, refusal)
            return False
        new = NewJob(
            id=sample_id,
            action=Action.SAMPLE,
            user_id=job.user_id,
            channel_id=job.channel_id,
            guild_id=job.guild_id,
            locale=job.locale,
            task=spec,
            lane=Lane.BATCH,
            parent_id=job.id,
            private=job.private,
        )
        await self._dispatcher.submit(new)
        return True

    def _spec(self, job: Job, training: Training, file: SavedFile) -> Txt2Img:
        assert job.training is not None, "a training"
        given = job.training
        facts = self._models.facts()
        lines = training.samples
        spec = build_samples(lines, given.checkpoint, given.vae, given.parameters.clip_skip, facts, self._limits)
        return with_epoch(spec, file.name)


def _sample_id(file: SavedFile) -> JobId:
    return JobId(hashlib.sha256(f"{file.job_id}/{file.name}".encode()).hexdigest()[:16])
