"""The comparison of a training's epochs: offered or begun as any plot, and looked at once it is drawn."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from bot.domain.ids import JobId
from bot.domain.job import Action, Image, Job, JobStatus, Lane, NewJob
from bot.domain.limits import Limits
from bot.domain.model_rules import Where
from bot.domain.scripts import Plot
from bot.domain.training.comparison import build_comparison, places_of
from bot.domain.training.diagnosis import Diagnosis, Measures, diagnosed
from bot.domain.training.sampling import build_samples
from bot.errors import UserFacingError
from bot.storage.datasets import Datasets
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.scripts import as_sheet
from bot.storage.training_results import TrainingResults
from bot.storage.trainings import Training, Trainings
from bot.studio.dynamic import in_time
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.safety.request import JobRequest
from bot.studio.scripts.preparing import EstimateS, prepared
from bot.studio.trainings.looking import OWN_MAX, compared
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import ImageRef, Train

__all__ = ["Comparing"]

log = logging.getLogger(__name__)

RETRY_S = 30.0
TRIES = 5
BY_ITSELF_S = 24 * 3600.0
"""How long ago a training may have ended whose comparison begins at a start of the bot."""


class Comparing:
    def __init__(
        self,
        *,
        intake: Intake,
        trainings: Trainings,
        results: TrainingResults,
        datasets: Datasets,
        inputs: InputPictures,
        jobs: Jobs,
        images: Images,
        models: Models,
        limits: Limits,
        estimate_s: EstimateS,
        found: Callable[[JobId], Awaitable[None]],
    ) -> None:
        """`found` is told of a training that has a diagnosis now."""
        self._intake = intake
        self._trainings = trainings
        self._results = results
        self._datasets = datasets
        self._inputs = inputs
        self._jobs = jobs
        self._images = images
        self._models = models
        self._limits = limits
        self._estimate_s = estimate_s
        self._found = found
        self._rng = random.SystemRandom()
        self._queue: asyncio.Queue[tuple[JobId, int]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Goes on with what a bot that died left: comparisons to be begun, and to be looked at."""
        for job_id in await self._results.not_looked_at():
            self._queue.put_nowait((job_id, 1))
        for job_id in await self._results.to_compare(time.time() - BY_ITSELF_S):
            self._queue.put_nowait((job_id, 1))
        self._spawn(self._work(), "training-comparisons")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def job_ended(self, job_id: JobId) -> None:
        """Some job has ended; perhaps it was a comparison, or a training."""
        self._queue.put_nowait((job_id, 1))

    def _spawn(self, coroutine: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Until everything that has ended was looked at."""
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            job_id, tries = await self._queue.get()
            try:
                await self._look(job_id)
            except Exception:
                log.exception("what job %s says of a training could not be looked at (try %s)", job_id, tries)
                if tries < TRIES:
                    self._spawn(self._later(job_id, tries + 1), f"comparison-later-{job_id}")
            finally:
                self._queue.task_done()

    async def _later(self, job_id: JobId, tries: int) -> None:
        await asyncio.sleep(RETRY_S)
        self._queue.put_nowait((job_id, tries))

    # --- asked for ----------------------------------------------------------------------------------------------------

    async def offer(self, interaction: Interaction, job: Job, training: Training) -> None:
        """Shows what it costs, as every plot. Raises UserFacingError: `trained_no_files`, those of `build_samples` and
        `build_plot`, and whatever refuses a job."""
        plot = await in_time(interaction, self._built(job, training, where_of(interaction)), hidden=True)
        await self._intake.begin(interaction, plot, Action.PLOT, parent_id=job.id)

    async def _begin_by_itself(self, job: Job, training: Training) -> None:
        """Once, and only as far as its person's limits go: the button stays."""
        script_id = JobId(hashlib.sha256(f"compare/{job.id}".encode()).hexdigest()[:16])
        if await self._jobs.get(script_id) is not None:
            return
        where = Where(job.guild_id, job.channel_id, frozenset(), job.user_id)
        try:
            plot = await self._built(job, training, where)
            ready = await prepared(plot, self._limits.max_script_cells, self._estimate_s)
            for spec in ready.judged:
                await self._intake.check(JobRequest(job.user_id, spec, Action.PLOT, where, job.locale))
            new = NewJob(
                id=script_id, action=Action.PLOT, user_id=job.user_id, channel_id=job.channel_id, guild_id=job.guild_id,
                locale=job.locale, task=plot, lane=Lane.SCRIPT, parent_id=job.id, private=job.private,
                reply_to_id=job.message_id,
            )  # fmt: skip
            request = JobRequest(job.user_id, plot, Action.PLOT, where, job.locale, wanted=ready.wanted)
            await self._intake.commit_unasked(request, new, [as_sheet(new, sheet) for sheet in ready.sheets])
        except UserFacingError as refusal:
            log.info("the epochs of training %s are not compared by themselves: %s", job.id, refusal)

    async def _built(self, job: Job, training: Training, where: Where) -> Plot:
        spec = _train(job)
        files = await self._trainings.files(training.job_id)
        if not files:
            raise UserFacingError("trained_no_files")
        facts = self._models.facts(where)
        lines = training.samples or (training.trigger_words or spec.output_name,)
        base = build_samples(lines, spec.checkpoint, spec.vae, spec.parameters.clip_skip, facts, self._limits)
        # What was published under its name would be drawn in place of it.
        there = {fact.name for fact in facts if fact.trained_in == job.id}
        names = [file.name for file in files if file.name in there] or [file.name for file in files]
        return await asyncio.to_thread(build_comparison, base, names, facts, self._limits, self._rng)

    # --- looked at ----------------------------------------------------------------------------------------------------

    async def _look(self, job_id: JobId) -> None:
        job = await self._jobs.get(job_id)
        if job is None:
            return
        if job.training is not None and job.status in (JobStatus.DONE, JobStatus.DELIVERING, JobStatus.DELIVERED):
            await self._look_at_curve(job)
            training = await self._trainings.get(job.id)
            wished = training is not None and training.compare and training.comparison_id is None
            if training is not None and wished and len(await self._trainings.files(job.id)) > 1:
                await self._begin_by_itself(job, training)
            return
        if job.parent_id is None or not isinstance(job.script, Plot):
            return
        training = await self._trainings.get(job.parent_id)
        places = places_of(job.script)
        if training is None or places is None or job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
            return
        cells = await self._images.of_cells(job.id)
        if not cells:
            return
        files = await self._trainings.files(training.job_id)
        measure = partial(
            compared,
            places,
            {index: partial(self._read, image) for index, image in cells.items()},
            [partial(self._inputs.small_now, ref) for ref in await self._own(training)],
            [file.name for file in files],
            training.curve,
        )
        await self._keep(training, diagnosed(await asyncio.to_thread(measure)), job.id)

    async def _look_at_curve(self, job: Job) -> None:
        training = await self._trainings.get(job.id)
        if training is None or training.findings is not None:
            return
        diagnosis = diagnosed(Measures(curve=training.curve))
        if diagnosis.findings:
            await self._keep(training, diagnosis, None)

    async def _keep(self, training: Training, diagnosis: Diagnosis, script_id: JobId | None) -> None:
        await self._trainings.set_findings(training.job_id, diagnosis.model_dump(mode="json"))
        if script_id is not None:  # last: it says that the comparison was looked at
            await self._trainings.set_comparison(training.job_id, script_id)
        await self._found(training.job_id)

    async def _own(self, training: Training) -> Sequence[ImageRef]:
        """Of what was learnt; none where the data set is gone."""
        if training.dataset_id is None or await self._datasets.get(training.dataset_id) is None:
            return ()
        reg = {folder.id for folder in await self._datasets.folders(training.dataset_id) if folder.is_reg}
        pictures = await self._datasets.pictures(training.dataset_id)
        return [picture.ref for picture in pictures if picture.folder_id not in reg][:OWN_MAX]

    def _read(self, image: Image) -> bytes | None:
        try:
            return self._images.read_here(image)
        except MissingPictureError:
            return None


def _train(job: Job) -> Train:
    if job.training is None:
        raise UserFacingError("train_unknown")
    return job.training
