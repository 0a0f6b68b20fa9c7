"""What each button does. Everything is looked up by the address, so it works however old the message is."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from typing import Literal

import discord

from bot.delivery.progress import CardEditor
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain import actions
from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.imagine import draw_seed
from bot.domain.job import Action, Image, Job, JobStatus
from bot.domain.limits import Limits
from bot.domain.templates import as_asked
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.images import Images
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.jobs import Jobs
from bot.storage.origins import origin_of
from bot.studio.forms import edit_form, style_form
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.panels import Panels
from bot.studio.tweaks import Remix
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from gpu_worker.protocol.specs import Drawing, ImageRef, Img2Img, JobSpec, Sheet, StoredSource, Txt2Img

__all__ = ["Pressed", "stored_source"]


def stored_source(image: Image) -> StoredSource:
    """By id: the transport's own address is made when the job is handed out."""
    ref = ImageRef(ref=f"{IMAGE_SCHEME}{image.id}", sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes)
    return StoredSource(image=ref)


class Pressed:
    def __init__(
        self,
        *,
        jobs: Jobs,
        images: Images,
        dispatcher: Dispatcher,
        editor: CardEditor,
        intake: Intake,
        models: Models,
        panels: Panels,
        remix: Remix,
        inputs: InputPictures,
        limits: Limits,
    ) -> None:
        self._panels = panels
        self._remix = remix
        self._inputs = inputs
        self._models = models
        self._limits = limits
        self._jobs = jobs
        self._images = images
        self._dispatcher = dispatcher
        self._editor = editor
        self._intake = intake
        self._rng = random.SystemRandom()

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        match address.verb:
            case Verb.UPSCALE:
                image, job = await self.picture(ImageId(address.id))
                await self._intake.begin(
                    interaction, await self.upscaled(job, image), Action.UPSCALE, source_image_id=image.id
                )
            case Verb.VARY:
                image, job = await self.picture(ImageId(address.id))
                strength: Literal["subtle", "strong"] = "strong" if address.n == 2 else "subtle"
                action = Action.VARY_STRONG if address.n == 2 else Action.VARY_SUBTLE
                first, index = await self._first_pass(job, image.index)
                spec = actions.vary(first.spec, index, strength, self._rng, self._limits)
                await self._remix.begin(
                    interaction,
                    spec,
                    action,
                    source_image_id=image.id,
                    base=actions.first_pass(actions.picture_spec(first.spec, index)),
                    parent_id=job.id,
                )
            case Verb.REROLL:
                job = await self.job(JobId(address.id))
                if job.script is not None:  # its cost is shown again
                    script = job.script.reseeded(draw_seed(self._rng))
                    await self._intake.begin(
                        interaction, script, job.action, source_image_id=job.source_image_id, parent_id=job.id
                    )
                    return
                await self._remix.begin(
                    interaction,
                    await self.rerolled(job),
                    Action.REROLL,
                    source_image_id=job.source_image_id,
                    base=actions.first_pass((await self.origin(job)).spec),
                    parent_id=job.id,
                )
            case Verb.TWEAK:
                job = await self.job(JobId(address.id))
                spec = actions.first_pass((await self.origin(job)).spec)
                await self._panels.open(
                    interaction, spec, Action.EDIT, source_image_id=job.source_image_id, parent_id=job.id
                )
            case Verb.EDIT:
                job = await self.job(JobId(address.id))
                spec = (await self.origin(job)).spec
                await interaction.response.send_modal(edit_form(job, spec, texts_for(str(interaction.locale))))
            case Verb.STYLE:
                job = await self.job(JobId(address.id))
                spec = (await self.origin(job)).spec
                await interaction.response.send_modal(style_form(job, spec, texts_for(str(interaction.locale))))
            case Verb.CANCEL:
                await self._cancel(interaction, JobId(address.id))
            case Verb.DELETE:
                await self._delete(interaction, JobId(address.id))
            case _:
                raise UserFacingError("button_unknown")

    # --- what reactions and commands share ----------------------------------------------------------------------------

    async def picture(self, image_id: ImageId) -> tuple[Image, Job]:
        image = await self._images.get(image_id)
        if image is None:
            raise UserFacingError("picture_unknown")
        return image, await self.job(image.job_id)

    async def job(self, job_id: JobId) -> Job:
        job = await self._jobs.get(job_id)
        if job is None:
            raise UserFacingError("job_unknown")
        return job

    async def upscaled(self, job: Job, image: Image) -> JobSpec:
        """Raises UserFacingError: `job_draws_nothing`, `upscale_too_large`."""
        index = image.index
        if not isinstance(job.task, Drawing):  # an upscaler alone made it larger
            job, index = await self._first_pass(job, index)
        size = (image.width, image.height)
        return actions.upscale(job.spec, index, stored_source(image), self._limits, self._models.facts(), size=size)

    async def rerolled(self, job: Job) -> JobSpec:
        return actions.reroll((await self._first_pass(job, 0))[0].spec, self._rng)

    async def origin(self, job: Job) -> Job:
        """The job that drew from noise what `job` enlarged, perhaps several times; any other job is its own. With its
        dynamic prompt, where it had one, instead of what was drawn from it."""
        first = (await self._first_pass(job, 0))[0]
        return replace(first, task=as_asked(first.task)) if isinstance(first.task, Txt2Img | Img2Img) else first

    async def _first_pass(self, job: Job, index: int) -> tuple[Job, int]:
        return await origin_of(self._jobs, self._images, job, index)

    async def cancel(self, job: Job, by: UserId, *, moderator: bool) -> JobStatus | None:
        """Raises UserFacingError where it is somebody else's."""
        if job.user_id != by and not moderator:
            raise UserFacingError("not_your_job")
        if isinstance(job.task, Sheet) and job.script_id is not None:  # the whole of it is what somebody waits for
            job = await self.job(job.script_id)
        status = await self._dispatcher.cancel(job.id, by)
        if status is JobStatus.ASSIGNED:
            self._editor.cancelling(job.id)
        return status

    async def delete(self, job: Job, by: UserId, *, moderator: bool) -> None:
        """The pictures go; what was made from them keeps its lineage. Raises UserFacingError for somebody else's."""
        if job.user_id != by and not moderator:
            raise UserFacingError("not_your_picture")
        if job.script is not None:  # before its last sheet ends, or its grid is put together
            await self._jobs.set_deleted(job.id)
        if job.status.waiting:
            await self._dispatcher.cancel(job.id, by)
        await self._images.delete_of_job(job.id)
        await self._jobs.set_deleted(job.id)
        if job.script is not None:  # cells with cards of their own stay, as what was made from them
            for cell in await self._jobs.cells_without_card(job.id):
                await self._images.delete_of_job(cell.id)
                await self._jobs.set_deleted(cell.id)
        # An enlargement was the last that needed what the job it came from began with.
        for task in (job.task, (await self.origin(job)).task):
            await self._inputs.discard_unused(given_pictures(task))

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _cancel(self, interaction: Interaction, job_id: JobId) -> None:
        job = await self.job(job_id)
        status = await self.cancel(job, UserId(interaction.user.id), moderator=is_moderator(interaction))
        texts = texts_for(str(interaction.locale))
        match status:
            case JobStatus.CANCELLED:
                await say(interaction, texts("reply.cancelled"))
            case JobStatus.ASSIGNED:
                await say(interaction, texts("reply.cancel_sent"))
            case _:
                await say(interaction, texts("reply.too_late_to_cancel"))

    async def _delete(self, interaction: Interaction, job_id: JobId) -> None:
        job = await self.job(job_id)
        await self.delete(job, UserId(interaction.user.id), moderator=is_moderator(interaction))
        # The answer to a press is the message itself; deleting it needs no permission in the channel.
        await interaction.response.defer()
        with contextlib.suppress(discord.NotFound):  # somebody else was faster
            await interaction.delete_original_response()


def is_moderator(interaction: Interaction) -> bool:
    """May manage messages here; in a direct message nobody is a moderator."""
    return interaction.guild_id is not None and interaction.permissions.manage_messages
