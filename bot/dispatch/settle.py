"""How an attempt ends in the table: pictures to disk first, then the one guarded transition."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.dispatch.settle_sheets import SheetSettler
from bot.dispatch.transport import BotTransport
from bot.dispatch.verdicts import WITHHELD, ResultJudge, Verdict
from bot.domain.ids import JobId, new_image_id
from bot.domain.job import Image, Job, JobStatus, MadeModel
from bot.errors import UserFacingError
from bot.library import Arrival, Library, LibraryFile
from bot.storage.database import Database
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import WAITING, Jobs
from bot.storage.kept_parts import KeptParts
from bot.storage.picture_looks import PictureLooks
from bot.storage.trainings import Trainings
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.results import TEXT_MIME, Captions, Description
from gpu_worker.protocol.specs import Caption, ConvertSpec, Describe, FileSpec, Sheet

__all__ = ["MADE_BY", "Settler", "new_reference"]

log = logging.getLogger(__name__)

_SUFFIXES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}


MADE_BY = "job:"
"""LibraryFile.source of what a job made, before the job's id."""


TEXT_BYTES_MAX = 16 << 20
"""Captions of as many pictures as a data set holds are a few MiB."""


def new_reference() -> str:
    """Short enough to be typed into a message to the operator; the log holds the same."""
    return secrets.token_hex(4)


class Settler:
    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        images: Images,
        transport: BotTransport,
        library: Library | None = None,
        judge: ResultJudge | None = None,
        parts: KeptParts | None = None,
        trainings: Trainings | None = None,
    ) -> None:
        """`library` takes the files of jobs that make some; without a `judge` every picture is kept, without `parts` no
        finished part of a job that is not done, without `trainings` nothing that one saves."""
        self.parts = parts
        self.trainings = trainings
        self._arriving: set[tuple[JobId, str]] = set()
        """Saved files that were not stored yet, and are delivered again."""
        self._library = library
        self._judge = judge
        self._looks = PictureLooks(database)
        self._db = database
        self._jobs = jobs
        self._images = images
        self._transport = transport
        self._sheets = SheetSettler(database=database, jobs=jobs, images=images, looks=self._looks, judge=judge)

    async def settle(
        self, message: m.Done | m.Failed | m.Cancelled | m.Paused, *, max_crashes: int, used_s: float = 0.0
    ) -> JobStatus | None:
        """Commits what a worker says of the end of an attempt. `used_s` is what it took, where it may go on later.

        Returns the job's status where this message changed it (`queued`: it has to run again); None for a late or
        repeated one. Raises OSError or StorageFullError where nothing could be written: it is to be delivered again.
        Two ends of one job must not be settled at the same time, because both would put their files in one place.
        """
        job = await self._jobs.get(JobId(message.job))
        if job is None or not job.status.waiting:
            log.info("late %s of job %s, attempt %s, dropped", message.t, message.job, message.attempt)
            return None
        match message:
            case m.Done():
                try:
                    return await self._done(job, message)
                except MissingPictureError as error:
                    log.warning("job %s: picture %s was lost between worker and bot; it is drawn again", job.id, error)
                    # Counted like a crash: a disk that eats every picture must not have them drawn for ever.
                    return await self.lose(
                        job.id, message.attempt, blamed=True, outcome="damaged", max_crashes=max_crashes, kind="other",
                        used_s=used_s,
                    )  # fmt: skip
            case m.Failed() if message.retryable:
                return await self.lose(
                    job.id, message.attempt, blamed=True, outcome="failed", max_crashes=max_crashes,
                    kind=message.kind, detail=message.detail, reason=message.message, used_s=used_s,
                )  # fmt: skip
            case m.Failed():
                return await self.fail(job.id, message.attempt, message.kind, message.detail, message.message)
            case m.Paused():
                if self.trainings is not None and message.of > 0:
                    await self.trainings.note_step(job.id, message.step, message.of)
                return await self.lose(
                    job.id, message.attempt, blamed=False, outcome="paused", max_crashes=max_crashes,
                    reason=message.reason, used_s=message.run_s,
                )  # fmt: skip
            case m.Cancelled():
                # Nobody asked: its worker let go of it, and it runs again.
                return await self.lose(
                    job.id, message.attempt, blamed=False, outcome="cancelled", max_crashes=max_crashes, used_s=used_s
                )

    async def partial(self, message: m.Partial) -> str | None:
        """A finished part, as far as there is room, or a file that a training saved: the name of a new one. Raises
        OSError or StorageFullError where its bytes may be there, or find room, at the next try."""
        if message.file is not None:
            return await self._saved(message, message.file)
        if self.parts is None:
            return None
        part: tuple[Path, str, str, int] | None = None
        for output in message.outputs:
            if output.size_bytes > m.PART_BYTES_MAX:
                return None
            part = await self._transport.fetch(message, output), output.sha256, output.mime, output.size_bytes
        await self.parts.keep(JobId(message.job), message.attempt, message.n, message.state, part)
        return None

    async def _saved(self, message: m.Partial, file: m.SavedModel) -> str | None:
        """Of whichever attempt, and after the end of its job, too: what was trained is worth keeping."""
        if self.trainings is None:
            return None
        (output,) = message.outputs
        job_id = JobId(message.job)
        self._arriving.add((job_id, file.name))  # until it is stored, or will never be: not where that raises
        new = await self.trainings.keep_file(
            job_id, name=file.name, epoch=file.epoch, step=file.step, final=file.final, loss=file.loss,
            source=await self._transport.fetch(message, output), sha256=output.sha256, size_bytes=output.size_bytes,
        )  # fmt: skip
        self._arriving.discard((job_id, file.name))
        there = {one.name for one in await self.trainings.files(job_id)} if file.gone is not None else ()
        if file.gone is not None and file.gone != file.name and file.name in there:
            await self.trainings.remove_file(job_id, file.gone)  # not for one that was damaged on its way
        return file.name if new else None

    async def earlier_s(self, job_id: JobId, attempt: int) -> float | None:
        """As `KeptParts.earlier_s`, until the job's parts are forgotten."""
        return await self.parts.earlier_s(job_id, attempt) if self.parts is not None else None

    async def lose(
        self,
        job_id: JobId,
        attempt: int,
        *,
        blamed: bool,
        outcome: str,
        max_crashes: int,
        kind: m.FailureKind = "crash",
        detail: Mapping[str, Any] | None = None,
        reason: str = "",
        used_s: float = 0.0,
    ) -> JobStatus | None:
        """An attempt ended without a result; see `Jobs.lose`. `kind` is what the user is told if it was the last."""
        failure = _failure(kind, detail or {})
        status = await self._jobs.lose(
            job_id, attempt, blamed=blamed, outcome=outcome, max_crashes=max_crashes, failure=failure, used_s=used_s
        )
        if status is JobStatus.FAILED:
            log.error("job %s failed (%s) after %s starts, reference %s: %s %s",
                      job_id, kind, attempt, failure["reference"], outcome, reason)  # fmt: skip
        elif status is not None:
            usual = status is JobStatus.CANCELLED or outcome == "paused"
            level = logging.INFO if usual else logging.WARNING
            ended = f"{outcome} ({reason})" if reason else outcome
            log.log(level, "job %s, attempt %s: %s; the job is %s now", job_id, attempt, ended, status)
        return status

    async def fail(
        self, job_id: JobId, attempt: int, kind: m.FailureKind, detail: Mapping[str, Any], reason: str
    ) -> JobStatus | None:
        """Failed for good, if that attempt is still the running one: an older one's failure says nothing about it."""
        failure = _failure(kind, detail)
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job_id, (JobStatus.ASSIGNED,), JobStatus.FAILED, attempt=attempt, finished_at=time.time(), **failure
            )
            await self._jobs.end_attempt(tx, job_id, attempt, "failed")
        if not acted:
            return None
        log.error("job %s failed (%s), reference %s: %s", job_id, kind, failure["reference"], reason)
        return JobStatus.FAILED

    async def fail_unreadable(self, job_id: JobId) -> None:
        """A queued row whose spec this version cannot read would be claimed in vain for ever."""
        failure = _failure("other", {})
        await self._jobs.transition(job_id, (JobStatus.QUEUED,), JobStatus.FAILED, finished_at=time.time(), **failure)

    async def _done(self, job: Job, done: m.Done) -> JobStatus | None:
        if job.training is not None:
            return await self._trained(job, done)
        if job.files is not None:
            return await self._made(job, job.files, done)
        if isinstance(job.task, Describe | Caption):
            return await self._described(job, done)
        if isinstance(job.task, Sheet):
            return await self._sheets.done(job, job.task, done, self._taken, self._withhold)
        verdict = await self._judge.judge(job, done.outputs) if self._judge is not None else None
        if verdict is not None and done.outputs and not verdict.kept:
            return await self._withhold(job, done, verdict)
        images: list[Image] = []
        for index, output in enumerate(done.outputs):
            if verdict is not None and index not in verdict.kept:
                continue
            images.append(await self._taken(job, index, done, output))
        # What an attempt goes on from was paid for by earlier ones.
        run_s = done.run_s + (await self.earlier_s(job.id, done.attempt) or 0.0)
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, WAITING, JobStatus.DONE, finished_at=time.time(), run_s=run_s
            )
            await self._jobs.end_attempt(tx, job.id, done.attempt, "done")
            if acted:
                await self._images.add_in(tx, images)
                await self._jobs.end_open_attempts(tx, job.id)
                if verdict is not None:
                    looks = {image.id: verdict.kept[image.index] for image in images}
                    await self._looks.add_in(tx, {id_: look for id_, look in looks.items() if look is not None})
        if acted:
            if verdict is not None and self._judge is not None:
                await self._judge.told(job, verdict)
            return JobStatus.DONE
        # Cancelled while its pictures were being moved.
        for image in images:
            await self._images.discard(image.path)
        return None

    async def _trained(self, job: Job, done: m.Done) -> JobStatus | None:
        """Its files came before it. Raises OSError where the last is still on its way, MissingPictureError where it was
        lost."""
        if self.trainings is not None and not any(file.final for file in await self.trainings.files(job.id)):
            if any(job_id == job.id for job_id, _ in self._arriving):
                raise OSError(f"the last file of training {job.id} is not stored yet")
            raise MissingPictureError("a training without its last file")
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, WAITING, JobStatus.DONE, finished_at=time.time(), run_s=(job.run_s or 0.0) + done.run_s
            )
            await self._jobs.end_attempt(tx, job.id, done.attempt, "done")
            if acted:
                await self._jobs.end_open_attempts(tx, job.id)
        return JobStatus.DONE if acted else None

    async def _taken(self, job: Job, index: int, done: m.Done, output: m.Output) -> Image:
        place = self._images.place(job, index, _SUFFIXES.get(output.mime, ".png"))
        await self._images.take(await self._transport.fetch(done, output), place, output.sha256)
        return Image(
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

    async def _withhold(self, job: Job, done: m.Done, verdict: Verdict) -> JobStatus | None:
        """None of its pictures may be kept: they go with their outbox entry."""
        failure = _failure(WITHHELD, {"reason": verdict.reason})
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, WAITING, JobStatus.FAILED, finished_at=time.time(), run_s=done.run_s, **failure
            )
            await self._jobs.end_attempt(tx, job.id, done.attempt, WITHHELD)
            if acted:
                await self._jobs.end_open_attempts(tx, job.id)
        if not acted:
            return None
        log.info("job %s: its pictures were withheld (%s)", job.id, verdict.reason)
        if self._judge is not None:
            await self._judge.told(job, verdict)
        return JobStatus.FAILED

    async def _described(self, job: Job, done: m.Done) -> JobStatus | None:
        """Raises MissingPictureError where the answer was lost or is none."""
        output = next((out for out in done.outputs if out.mime == TEXT_MIME), None)
        if output is None or output.size_bytes > TEXT_BYTES_MAX:
            raise MissingPictureError("a description without its text")
        source = await self._transport.fetch(done, output)
        try:
            answer = Captions if isinstance(job.task, Caption) else Description
            found = answer.model_validate_json(await asyncio.to_thread(source.read_bytes))
        except (OSError, ValueError) as error:
            raise MissingPictureError(output.blob) from error
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, WAITING, JobStatus.DONE, finished_at=time.time(), run_s=done.run_s,
                result=found.model_dump_json(),
            )  # fmt: skip
            await self._jobs.end_attempt(tx, job.id, done.attempt, "done")
            if acted:
                await self._jobs.end_open_attempts(tx, job.id)
        return JobStatus.DONE if acted else None

    async def _made(self, job: Job, files: FileSpec, done: m.Done) -> JobStatus | None:
        """The file goes into the library first, as pictures go to the disk. Raises MissingPictureError where it was
        lost, OSError where the disk takes it later."""
        assert self._library is not None
        output = next((out for out in done.outputs if out.mime == MODEL_MIME), None)
        if output is None:
            raise MissingPictureError("a result without a file")
        made = await self._adopted(self._library, job, files, await self._transport.fetch(done, output), output)
        result = MadeModel(made.id, made.kind, made.name, made.size_bytes, made.precision)
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, WAITING, JobStatus.DONE, finished_at=time.time(), run_s=done.run_s,
                result=json.dumps(asdict(result)),
            )  # fmt: skip
            await self._jobs.end_attempt(tx, job.id, done.attempt, "done")
            if acted:
                await self._jobs.end_open_attempts(tx, job.id)
        if acted:
            return JobStatus.DONE
        # Cancelled while its file was being moved.
        with contextlib.suppress(UserFacingError):
            await self._library.remove(made.id)
        return None

    async def _adopted(
        self, library: Library, job: Job, files: FileSpec, source: Path, output: m.Output
    ) -> LibraryFile:
        origin = f"{MADE_BY}{job.id}"
        if not await asyncio.to_thread(source.is_file):
            # The bot died between this move and its commit; or the file is lost.
            await library.refresh()
            found = next((f for f in library.files() if f.source == origin and f.size_bytes == output.size_bytes), None)
            if found is None:
                raise MissingPictureError(output.blob)
            return found
        if (await asyncio.to_thread(source.stat)).st_size != output.size_bytes:
            raise MissingPictureError(output.blob)
        try:
            arrival = Arrival(
                source,
                files.model_kind if isinstance(files, ConvertSpec) else "checkpoint",
                f"{files.output}.safetensors",
                source=origin,
                added_by=job.user_id,
                added_in=files.owner,
            )
            return await library.adopt(arrival)
        except UserFacingError as error:
            raise OSError(f"the library does not take the file of job {job.id} now: {error}") from error


def _failure(kind: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a failed job."""
    return {"failure_kind": kind, "failure_detail": json.dumps(dict(detail), default=str), "reference": new_reference()}
