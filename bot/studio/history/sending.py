"""Going on from a picture of the history: redrawn, changed in part, enlarged, tweaked; and its file handed out."""

from __future__ import annotations

import asyncio
import io
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import discord

from bot.delivery.cards import filename
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES, climb_down
from bot.domain import actions
from bot.domain.ids import ImageId
from bot.domain.job import Action, Image, Job, JobStatus
from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.pictures import GivenPicture
from bot.domain.values import decimal
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.history import Shot
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.studio.attachments import Attachments
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.pressed import stored_source
from bot.studio.region_pictures import uploaded_mask
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import form_of, text_field, upload_field, uploads_of
from gpu_worker.protocol.specs import Img2Img, JobSpec, Sheet, Train, Txt2Img

__all__ = ["Sending"]

log = logging.getLogger(__name__)

REDRAW, MASKED = 1, 2
DENOISE = "0.5"
COUNT = "2"
_NOT_KEPT = (
    "width", "height", "aspect", "hires_scale", "hires_size", "hires_upscaler", "hires_steps", "hires_sampler",
    "hires_schedule", "hires_checkpoint", "hires_prompt", "hires_negative", "variation_seed", "variation_strength",
    "extend", "resize_mode", "denoising_strength",
)  # fmt: skip
"""Of the recipe: what is about another size or another way of drawing than from this picture."""


class Sending:
    def __init__(
        self,
        *,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        attachments: Attachments,
        intake: Intake,
        models: Models,
        limits: Limits,
        press: Callable[[Interaction, Address], Awaitable[None]],
    ) -> None:
        """`press` answers a button of a card as if it was pressed there."""
        self._jobs = jobs
        self._images = images
        self._inputs = inputs
        self._attachments = attachments
        self._intake = intake
        self._models = models
        self._limits = limits
        self._press = press
        self._rng = random.SystemRandom()

    async def ways(self, shot: Shot) -> list[str]:
        """What can be done with this picture, by the keys of `history.picture.send_…`."""
        job = await self._jobs.get(shot.job_id)
        drawn = job is not None and isinstance(job.task, Txt2Img | Img2Img)
        there = not shot.pruned and await asyncio.to_thread(self._images.file_at(shot.path).is_file)
        return [
            *(["img2img", "inpaint", "region", "control"] if there else []),
            *(["upscale"] if drawn else []),
            *(["enlarge", "ultimate"] if there else []),
            *(["tweak", "vary"] if drawn else []),
        ]

    async def send(self, interaction: Interaction, desk_id: str, shot: Shot, way: str) -> None:
        """Raises UserFacingError."""
        match way:
            case "img2img" | "inpaint":
                await self._open_form(interaction, desk_id, shot, MASKED if way == "inpaint" else REDRAW)
            case "upscale":
                await self._press(interaction, Address(Verb.UPSCALE, shot.id))
            case "enlarge":
                await self._press(interaction, Address(Verb.ENLARGE, shot.id))
            case "ultimate":
                await self._press(interaction, Address(Verb.ULTIMATE, shot.id))
            case "region":
                await self._press(interaction, Address(Verb.REGION, shot.id))
            case "control":
                await self._press(interaction, Address(Verb.AS_UNIT, shot.id))
            case "tweak":
                await self._press(interaction, Address(Verb.TWEAK, shot.job_id))
            case "vary":
                await self._press(interaction, Address(Verb.VARY, shot.id, 1))
            case _:
                raise UserFacingError("button_unknown")

    async def _open_form(self, interaction: Interaction, desk_id: str, shot: Shot, n: int) -> None:
        texts = texts_for(str(interaction.locale))
        spec = await self._spec(shot)
        title = "history.send.title_inpaint" if n == MASKED else "history.send.title_img2img"
        form = form_of(texts(title), encode(Verb.HISTORY_SEND_FORM, desk_id, n))
        if n == MASKED:
            upload_field(form, "mask", texts("history.send.mask"), texts("history.send.mask_hint"), required=True)
        prompt = spec.prompt if spec is not None else ""
        negative = spec.negative_prompt if spec is not None else ""
        text_field(form, "prompt", texts("history.send.prompt"), "", prompt, required=True)
        text_field(form, "negative", texts("history.send.negative"), "", negative)
        text_field(
            form, "denoise", texts("history.send.denoise"), texts("history.send.denoise_hint"),
            "0.75" if n == MASKED else DENOISE, paragraph=False, max_length=6,
        )  # fmt: skip
        text_field(form, "count", texts("history.send.count"), "", COUNT, paragraph=False, max_length=2)
        await interaction.response.send_modal(form)

    async def submitted(self, interaction: Interaction, shot: Shot, fields: Mapping[str, str]) -> None:
        """Begins the job of a sent form. Raises UserFacingError: `picture_file_gone`, whatever refuses a request."""
        wishes = Parameters(
            denoising_strength=_number(fields.get("denoise", ""), DENOISE),
            count=round(_number(fields.get("count", ""), COUNT)),
            seed=-1,
        )
        mask = uploads_of(interaction).get("mask")
        image, _ = await self._read(shot)
        hidden = await self._intake.is_private(interaction, shot.job_id, shot.id)
        async with acknowledged(interaction, hidden=hidden), AsyncExitStack() as kept:
            mask_ref = None
            if mask is not None:
                painted = await self._attachments.fetch(mask)
                size = (image.width, image.height)
                fitting, _ = await asyncio.to_thread(uploaded_mask, painted, size)
                mask_ref = await kept.enter_async_context(self._inputs.keeping(fitting, "image/png"))
            picture = GivenPicture(stored_source(image).image, image.width, image.height, mask_ref)
            spec = await self._spec(shot) or self._plain(interaction)
            built = actions.edit(
                actions.first_pass(spec),
                prompt=fields.get("prompt", ""),
                negative_prompt=fields.get("negative", ""),
                changes=wishes,
                dropped=_NOT_KEPT,
                picture=picture,
                facts=self._models.facts(where_of(interaction)),
                limits=self._limits,
                rng=self._rng,
            )
            await self._intake.begin(
                interaction,
                built.spec,
                Action.EDIT,
                source_image_id=shot.id,
                parent_id=shot.job_id,
                notes=told(built.notes, texts_for(str(interaction.locale))),
            )

    async def draw_again(self, interaction: Interaction, shot: Shot) -> None:
        """The same picture anew, from its recipe. Raises UserFacingError."""
        job = await self._jobs.get(shot.job_id)
        assert job is not None
        task = job.task
        if isinstance(task, Txt2Img | Img2Img):
            task = actions.picture_spec(task, shot.index)
        if isinstance(task, Sheet | Train):  # pictures are of cells and samples, which are jobs of their own
            raise UserFacingError("job_draws_nothing")
        # What only admins may try, and no limit counts, is anybody's picture the second time; a sample has no card.
        action = Action.IMAGINE if job.action in (Action.TEST, Action.SAMPLE) else job.action
        await self._intake.begin(interaction, task, action, source_image_id=shot.parent_id, parent_id=job.id)

    async def hand_out(self, interaction: Interaction, shot: Shot) -> None:
        """The file as it was drawn; where it is too large for this person here, the nearest that fits.
        Raises UserFacingError: `picture_file_gone`, `original_too_large`."""
        texts = texts_for(str(interaction.locale))
        await interaction.response.defer(ephemeral=True, thinking=True)
        if await self.veiled([shot], interaction):
            raise UserFacingError("picture_veiled")
        image, data = await self._read(shot)
        job = await self._jobs.get(shot.job_id)
        assert job is not None
        limit = interaction.filesize_limit or DEFAULT_LIMIT_BYTES
        while True:
            _, uploads = await asyncio.to_thread(climb_down, [data], [image.infotext], limit)
            if not uploads:
                raise UserFacingError("original_too_large")
            (upload,) = uploads
            text = texts("history.picture.original_here" if upload.data == data else "history.picture.original_shrunk")
            file = discord.File(io.BytesIO(upload.data), filename(job, image.index, upload.suffix))
            try:
                await interaction.followup.send(text, file=file, ephemeral=True)
                return
            except discord.HTTPException as error:
                if error.status != 413 and error.code != 40005:
                    raise
                limit = int(len(upload.data) * 0.8)

    async def veiled(self, shots: Sequence[Shot], interaction: Interaction) -> frozenset[ImageId]:
        """Which of them may not be seen where this was asked for."""
        return await self._intake.veiled([shot.id for shot in shots], where_of(interaction))

    async def seen(self, shot: Shot) -> None:
        """A result that could not be brought to its user has been seen by them: it is no more waiting."""
        await self._jobs.transition(shot.job_id, (JobStatus.DELIVERING,), JobStatus.DELIVERED)
        await self._jobs.set_stranded(shot.job_id, stranded=False)
        log.info("the undelivered result of job %s was seen in the history", shot.job_id)

    async def _read(self, shot: Shot) -> tuple[Image, bytes]:
        image = await self._images.get(ImageId(shot.id))
        if image is None or image.deleted:
            raise UserFacingError("history_picture_gone")
        try:
            return image, await self._images.read(image)
        except MissingPictureError as error:
            raise UserFacingError("picture_file_gone") from error

    async def _spec(self, shot: Shot) -> JobSpec | None:
        """The recipe; None for what was not drawn, as an enlargement by an upscaler alone."""
        job: Job | None = await self._jobs.get(shot.job_id)
        if job is None or not isinstance(job.task, Txt2Img | Img2Img):
            return None
        return actions.picture_spec(job.task, shot.index)

    def _plain(self, interaction: Interaction) -> JobSpec:
        checkpoint = next(
            (fact.name for fact in self._models.facts(where_of(interaction))
             if fact.kind == "checkpoint" and fact.problem is None), "",
        )  # fmt: skip
        return Txt2Img(prompt="", checkpoint=checkpoint, seed=0, width=512, height=512)


def _number(text: str, usual: str) -> float:
    """Lenient in the decimal point. Raises UserFacingError (`parameters_unreadable`)."""
    try:
        return decimal(text.strip() or usual)
    except ValueError:
        raise UserFacingError("parameters_unreadable") from None
