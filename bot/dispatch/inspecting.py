"""The door for what remote workers send: what is no result of its job is turned into a failure of its worker."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from bot.dispatch.floor import Floor
from bot.dispatch.sparing import Sparing
from bot.dispatch.trust import machine_of
from bot.domain.ids import JobId
from bot.domain.job import Job
from bot.inspection import Inspection, UnfitError
from bot.inspection.greetings import checked_heartbeat, checked_hello
from bot.storage.jobs import Jobs
from gpu_worker.protocol import messages as m

__all__ = ["Inspecting"]

log = logging.getLogger(__name__)

_PUZZLES = (ValueError, TypeError, LookupError, AssertionError, RecursionError)
"""What a result of a shape that nobody foresaw may raise; not what a disk or a database does."""


class Inspecting:
    def __init__(self, floor: Floor, jobs: Jobs, inspection: Inspection | None) -> None:
        """Without an `inspection` everybody is believed."""
        self._floor = floor
        self._jobs = jobs
        self._inspection = inspection
        self._sparing = Sparing(floor.clock)
        self.put_out: Callable[[str], Awaitable[None]] | None = None
        """Is given a worker whose machine should get nothing more."""

    def hello(self, message: m.Hello) -> m.Hello:
        return message if self._of(message.worker) is None else checked_hello(message)

    def heartbeat(self, message: m.Heartbeat) -> m.Heartbeat:
        return message if self._of(message.worker) is None else checked_heartbeat(message)

    async def is_theirs(self, message: m.JobFrame) -> bool:
        """Whether the machine was given that attempt: who learns of a job's id must not end or fill it."""
        if self._of(message.worker) is None:
            return True
        given = await self._jobs.worker_of(JobId(message.job), message.attempt)
        if given is not None and machine_of(given) == machine_of(message.worker):
            return True
        if self._sparing.may(message.worker):
            log.warning("worker %s sent something of job %s, attempt %s, which it was never given; it is dropped",
                        message.worker, message.job, message.attempt)  # fmt: skip
        return False

    async def end(
        self, message: m.Done | m.Failed | m.Cancelled | m.Paused
    ) -> m.Done | m.Failed | m.Cancelled | m.Paused:
        """Raises OSError where it cannot be looked at now: it is to be delivered again."""
        inspection, job_id = self._inspection, JobId(message.job)
        remote = self._of(message.worker) is not None
        if inspection is None or not (remote or inspection.completes(message)):
            return message
        job = await self._jobs.get(job_id)
        if job is None or not job.status.waiting:
            return message  # nothing of it will be kept

        def fetch(output: m.Output) -> Awaitable[Path]:
            assert isinstance(message, m.Done), "nothing else has results"
            return self._floor.transport.fetch(message, output)

        def alive() -> None:
            self._floor.unsettled[job_id] = self._floor.clock()

        if not remote:
            assert isinstance(message, m.Done), "nothing else has pictures"
            return await inspection.complete(message, fetch, alive)
        try:
            checked = await inspection.end(message, job, fetch, alive)
            if isinstance(checked, m.Failed) and not checked.retryable and self._doubts(checked, job):
                return checked.model_copy(update={"retryable": True})
            return checked
        except UnfitError as error:
            self._blame(message.worker, message.job, str(error))
            return m.Failed(
                worker=message.worker, job=message.job, attempt=message.attempt, kind="other", retryable=True,
                message=f"unfit result: {error}",
            )  # fmt: skip
        except _PUZZLES as error:
            self._puzzled(message)
            return m.Failed(
                worker=message.worker, job=message.job, attempt=message.attempt, kind="other", retryable=True,
                message=f"result that cannot be looked at: {error!r:.200}",
            )  # fmt: skip

    def _puzzled(self, message: m.JobFrame) -> None:
        """Of an error that nobody foresaw: brought again, it would be met again for ever."""
        log.exception("what worker %s sent of job %s cannot be looked at; it counts as no result, and nobody is blamed",
                      message.worker, message.job)  # fmt: skip

    async def part(self, message: m.Partial) -> m.Partial | None:
        """None where nothing of it is to be kept. Raises OSError as `end`."""
        inspection = self._of(message.worker)
        if inspection is None:
            return message
        job = await self._jobs.get(JobId(message.job))
        if job is None:
            return None
        try:
            return await inspection.part(message, job, lambda output: self._floor.transport.fetch(message, output))
        except UnfitError as error:
            self._blame(message.worker, message.job, str(error))
            return None
        except _PUZZLES:
            self._puzzled(message)
            return None

    async def progress(self, message: m.Progress, wish: m.PreviewWish) -> m.Progress:
        inspection = self._of(message.worker)
        if inspection is None:
            return message
        if wish.hz <= 0:
            message = message.model_copy(update={"preview": None})
        return await inspection.progress(message, guarded=wish.guarded)

    def _doubts(self, failed: m.Failed, job: Job) -> bool:
        """One machine alone does not say that a job cannot be done, while there is another to try it. But for a
        training, which would take hours once more."""
        machine, workers = machine_of(failed.worker), self._floor.workers
        return (
            job.training is None
            and any(
                machine_of(other.name) != machine and other.takes_work and workers.may_draw(other, job.model)
                for other in workers.values()
            )
            and self._floor.trust.doubt(failed.worker, failed.job)
        )

    def _of(self, worker: str) -> Inspection | None:
        inspection = self._inspection
        return inspection if inspection is not None and inspection.is_remote(worker) else None

    def _blame(self, worker: str, job: str, reason: str) -> None:
        log.error("worker %s sent what is no result of job %s: %s", worker, job, reason)
        if not self._floor.trust.blame(worker, job):
            return
        log.critical(
            "the machine of worker %s has spoilt several jobs and gets none any more. Look at its own log; "
            "/workers resume gives it work again, /workers remove takes its key.", worker,
        )  # fmt: skip
        if self.put_out is not None:
            self._floor.spawn(self._put_out(self.put_out, worker), f"put-out-{worker}")

    async def _put_out(self, put_out: Callable[[str], Awaitable[None]], worker: str) -> None:
        try:
            await put_out(worker)
        except Exception:
            log.exception("worker %s could not be drained; /workers drain does it by hand", worker)
