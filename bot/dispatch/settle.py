"""How an attempt ends in the table: pictures to disk first, then the one guarded transition."""

from __future__ import annotations

import json
import logging
import secrets
import time

from bot.dispatch.transport import BotTransport
from bot.domain.ids import JobId, new_image_id
from bot.domain.job import Image, Job, JobStatus
from bot.storage.database import Database
from bot.storage.images import Images
from bot.storage.jobs import WAITING, Jobs
from gpu_worker.protocol import messages as m

__all__ = ["Settler", "new_reference"]

log = logging.getLogger(__name__)

_SUFFIXES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}


def new_reference() -> str:
    """Short enough to be typed into a message to the operator; the log holds the same."""
    return secrets.token_hex(4)


class Settler:
    def __init__(self, *, database: Database, jobs: Jobs, images: Images, transport: BotTransport) -> None:
        self._db = database
        self._jobs = jobs
        self._images = images
        self._transport = transport

    async def settle(self, message: m.Done | m.Failed | m.Cancelled) -> bool:
        """Commits the end of a job. True only where this message ended it; a late or repeated one changes nothing.

        Raises OSError or StorageFullError where nothing could be written (the transport delivers the message again),
        and MissingPictureError where a picture was lost on the way (the job has to run again).
        """
        job = await self._jobs.get(JobId(message.job))
        if job is None or not job.status.waiting:
            log.info("late %s of job %s, attempt %s, dropped", message.t, message.job, message.attempt)
            return False
        match message:
            case m.Done():
                return await self._done(job, message)
            case m.Failed():
                return await self._failed(job, message)
            case m.Cancelled():
                return await self._cancelled(job, message)

    async def partial(self, message: m.Partial) -> None:
        outputs = [output.model_dump(mode="json") for output in message.outputs]
        await self._jobs.save_partial(JobId(message.job), message.n, message.attempt, outputs, message.state)

    async def give_up(self, job: Job) -> bool:
        """The job has killed too many workers."""
        return await self._fail(job, "crash", {}, f"{job.crashes} starts killed their worker", (JobStatus.QUEUED,))

    async def _done(self, job: Job, done: m.Done) -> bool:
        images: list[Image] = []
        for index, output in enumerate(done.outputs):
            place = self._images.place(job, index, _SUFFIXES.get(output.mime, ".png"))
            await self._images.take(await self._transport.fetch(done, output), place, output.sha256)
            images.append(
                Image(
                    id=new_image_id(),
                    job_id=job.id,
                    index=index,
                    path=place,
                    sha256=output.sha256,
                    mime=output.mime,
                    width=output.width,
                    height=output.height,
                    size_bytes=output.size_bytes,
                    seed=output.seed,
                    infotext=output.infotext,
                    action=job.action,
                    parent_image_id=job.source_image_id,
                )
            )
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, WAITING, JobStatus.DONE, finished_at=time.time(), run_s=done.run_s
            )
            if acted:
                await self._images.add_in(tx, images)
            await self._jobs.end_attempt(tx, job.id, done.attempt, "done")
        return acted

    async def _failed(self, job: Job, failed: m.Failed) -> bool:
        if job.attempt != failed.attempt:
            return False  # an older attempt's failure says nothing about the one that runs now
        return await self._fail(job, failed.kind, failed.detail, failed.message, (JobStatus.ASSIGNED,))

    async def _fail(
        self, job: Job, kind: str, detail: dict[str, object], message: str, wanted: tuple[JobStatus, ...]
    ) -> bool:
        reference = new_reference()
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, wanted, JobStatus.FAILED,
                failure_kind=kind, failure_detail=json.dumps(detail), reference=reference, finished_at=time.time(),
            )  # fmt: skip
            await self._jobs.end_attempt(tx, job.id, job.attempt, "failed")
        if acted:
            log.error("job %s failed (%s), reference %s: %s", job.id, kind, reference, message)
        return acted

    async def _cancelled(self, job: Job, cancelled: m.Cancelled) -> bool:
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx,
                job.id,
                (JobStatus.ASSIGNED,),
                JobStatus.CANCELLED,
                attempt=cancelled.attempt,
                finished_at=time.time(),
            )
            await self._jobs.end_attempt(tx, job.id, cancelled.attempt, "cancelled")
        return acted
