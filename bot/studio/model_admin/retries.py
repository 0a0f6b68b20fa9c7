"""Once more: what only admins may ask for is asked for anew, with all that a command checks."""

from __future__ import annotations

from bot.domain.ids import JobId
from bot.domain.job import Action
from bot.errors import UserFacingError
from bot.library import Library
from bot.storage.jobs import Jobs
from bot.storage.model_audit import ModelAudit
from bot.studio.intake import Intake
from bot.studio.model_admin.makings import Makings
from bot.studio.model_admin.trials import Trials
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.codec import Address
from gpu_worker.protocol.specs import Sheet, Train

__all__ = ["Retries"]


class Retries:
    def __init__(
        self,
        *,
        jobs: Jobs,
        intake: Intake,
        library: Library,
        audit: ModelAudit,
        stewards: Stewards,
        makings: Makings,
        trials: Trials,
    ) -> None:
        self._jobs = jobs
        self._intake = intake
        self._library = library
        self._audit = audit
        self._stewards = stewards
        self._makings = makings
        self._trials = trials

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `job_unknown`, `admins_only`, `model_gone`, and whatever refuses a job."""
        job = await self._jobs.get(JobId(address.id))
        if job is None:
            raise UserFacingError("job_unknown")
        if job.files is not None:
            await self._makings.begin(interaction, job.files, self._stewards.managing(interaction))
        elif job.action is Action.TEST:
            steward = self._stewards.managing(interaction)
            test = await self._audit.test(job.id)
            file = self._library.get(test.file_id) if test is not None else None
            if file is None:
                raise UserFacingError("model_gone")
            await self._trials.draw(interaction, file, steward)
        elif isinstance(job.task, Sheet | Train):  # they have no such button of their own
            raise UserFacingError("job_draws_nothing")
        else:
            action = Action.IMAGINE if job.action is Action.SAMPLE else job.action
            await self._intake.begin(interaction, job.task, action, source_image_id=job.source_image_id)
