"""Buttons that make another picture of one: zoom, pan, square, an enlargement by the upscaler alone; and the star."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, cast

import discord

from bot.delivery.result_rows import PAN_SIDES
from bot.domain import canvases
from bot.domain.enlarging import Enlargement, plain
from bot.domain.ids import ImageId, UserId
from bot.domain.job import Action, Image, Job
from bot.domain.limits import Limits
from bot.domain.models import names_of
from bot.domain.pictures import GivenPicture
from bot.domain.sizes import ASPECTS
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.favourites import Favourites
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.origins import origin_of
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.pressed import stored_source
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.door import say
from bot.ui.forms import fields_of, form_of, select_field, text_field, whole_text
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Img2Img, JobSpec

__all__ = ["PICTURE_VERBS", "PictureActions", "Shown"]

PICTURE_VERBS = (Verb.UPSCALE_SUBTLE, Verb.ZOOM, Verb.ZOOM_CUSTOM, Verb.PAN, Verb.SQUARE, Verb.FAVOURITE)
_SAME_SHAPE = "same"


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a card, what it is as something to start from, and the request that drew it from noise."""

    image: Image
    job: Job
    spec: JobSpec
    index: int
    """Which picture of `spec`."""

    @property
    def given(self) -> GivenPicture:
        return GivenPicture(stored_source(self.image).image, self.image.width, self.image.height)


class PictureActions:
    def __init__(
        self,
        *,
        jobs: Jobs,
        images: Images,
        favourites: Favourites,
        intake: Intake,
        models: Models,
        limits: Limits,
    ) -> None:
        self._jobs = jobs
        self._images = images
        self._favourites = favourites
        self._intake = intake
        self._models = models
        self._limits = limits
        self._rng = random.SystemRandom()

    async def shown(self, image_id: str, *, needs_file: bool = True) -> Shown:
        """Raises UserFacingError: `picture_unknown`, `source_deleted`, `job_draws_nothing`."""
        image = await self._images.get(ImageId(image_id))
        job = await self._jobs.get(image.job_id) if image is not None else None
        if image is None or job is None:
            raise UserFacingError("picture_unknown")
        there = not image.deleted and await asyncio.to_thread(self._images.file(image).is_file)
        if needs_file and not there:
            raise UserFacingError("source_deleted")
        origin, index = await origin_of(self._jobs, self._images, job, image.index)
        return Shown(image, job, origin.spec, index)

    def native_px(self, spec: JobSpec, facts: tuple[ModelFact, ...]) -> int | None:
        """The side that its checkpoint draws best at, where that is known."""
        named = (fact for fact in facts if fact.kind == "checkpoint" and fact.name == spec.checkpoint)
        return next((fact.native_px for fact in named), None)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        if address.verb == Verb.FAVOURITE:
            await self._keep(interaction, ImageId(address.id))
            return
        shown = await self.shown(address.id)
        match address.verb:
            case Verb.ZOOM:
                await self._zoom(interaction, shown, (address.n or 200) / 100)
            case Verb.ZOOM_CUSTOM:
                await interaction.response.send_modal(_zoom_form(shown, texts_for(str(interaction.locale))))
            case Verb.PAN if address.n in PAN_SIDES:
                side = cast("canvases.Side", PAN_SIDES[address.n])
                await self._begin(interaction, shown, canvases.pan, Action.PAN, side)
            case Verb.SQUARE:
                await self._begin(interaction, shown, canvases.square, Action.SQUARE)
            case Verb.UPSCALE_SUBTLE:
                await self._enlarge(interaction, shown)
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """The form of a zoom. Raises UserFacingError."""
        shown = await self.shown(address.id)
        fields = fields_of(interaction)
        factor = canvases.read_zoom(fields.get("factor", ""))
        shape = fields.get("shape") or _SAME_SHAPE
        recorded = canvases.base_of(shown.spec, shown.index)["prompt"]
        prompt = whole_text(fields.get("prompt", ""), recorded).strip() or None
        await self._zoom(interaction, shown, factor, aspect=shape if shape in ASPECTS else None, prompt=prompt)

    async def _zoom(
        self,
        interaction: Interaction,
        shown: Shown,
        factor: float,
        *,
        aspect: str | None = None,
        prompt: str | None = None,
    ) -> None:
        await self._begin(interaction, shown, canvases.zoom, Action.ZOOM, factor, prompt=prompt, aspect=aspect)

    async def _begin(
        self,
        interaction: Interaction,
        shown: Shown,
        make: Any,
        action: Action,
        *values: object,
        prompt: str | None = None,
        **named: object,
    ) -> None:
        facts = self._models.facts(where_of(interaction))
        spec: Img2Img = make(
            shown.spec, shown.index, shown.given, *values, self._rng, self._limits,
            native_px=self.native_px(shown.spec, facts), **named,
        )  # fmt: skip
        if prompt is not None:
            spec = canvases.reworded(spec, prompt)
        await self._intake.begin(interaction, spec, action, source_image_id=shown.image.id, parent_id=shown.job.id)

    async def _enlarge(self, interaction: Interaction, shown: Shown) -> None:
        facts = self._models.facts(where_of(interaction))
        size = (shown.image.width, shown.image.height)
        spec = plain(Enlargement(factor=2), shown.given.image, size, facts, self._limits)
        texts = texts_for(str(interaction.locale))
        notes = [] if names_of("upscaler", facts) else [texts("upscale.no_model")]
        await self._intake.begin(
            interaction, spec, Action.UPSCALE_SUBTLE, source_image_id=shown.image.id, parent_id=shown.job.id,
            notes=notes,
        )  # fmt: skip

    async def _keep(self, interaction: Interaction, image_id: ImageId) -> None:
        shown = await self.shown(image_id, needs_file=False)
        if shown.image.deleted:
            raise UserFacingError("source_deleted")
        kept = await self._favourites.toggle(UserId(interaction.user.id), image_id)
        await say(interaction, texts_for(str(interaction.locale))("favourite.kept" if kept else "favourite.dropped"))


def _zoom_form(shown: Shown, texts: Texts) -> discord.ui.Modal:
    form = form_of(texts("zoom.form.title"), encode(Verb.ZOOM_FORM, shown.image.id))
    text_field(
        form, "factor", texts("zoom.form.factor"), texts("zoom.form.factor_hint"), "1.5",
        paragraph=False, required=True, max_length=8,
    )  # fmt: skip
    shapes = [(_SAME_SHAPE, texts("zoom.form.shape_same")), *((aspect, aspect) for aspect in ASPECTS)]
    select_field(form, "shape", texts("zoom.form.shape"), texts("zoom.form.shape_hint"), shapes, _SAME_SHAPE)
    prompt = canvases.base_of(shown.spec, shown.index)["prompt"]
    text_field(form, "prompt", texts("zoom.form.prompt"), texts("zoom.form.prompt_hint"), prompt)
    return form
