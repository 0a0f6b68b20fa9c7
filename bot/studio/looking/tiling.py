"""/ultimate, and its form: a finished picture enlarged and drawn again tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import discord

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain import actions
from bot.domain.enlarging import default_upscaler
from bot.domain.ids import ImageId
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action, Image, Job, work_units
from bot.domain.limits import Limits
from bot.domain.models import LATENT_UPSCALERS, UPSCALERS, names_of
from bot.domain.ultimate import DENOISE, FACTORS, SEAMS, UltimateWish, ultimate_of
from bot.domain.values import decimal
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.facts import Timings
from bot.storage.finds import Find, FoundPicture
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.origins import origin_of
from bot.studio.attachments import Attachments
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.models import Models
from bot.studio.reading import PictureReader
from bot.studio.requests import Requests
from bot.studio.spans import span
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, select_field, text_field
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import Drawing, ImageRef, JobSpec, Ultimate

__all__ = ["Tiling"]

FORM_CHARS = 1000
_NOTHING = "-"
"""Stands for an empty prompt, which no request has, until the request is built."""


class Tiling:
    def __init__(
        self,
        *,
        pointed: Pointed,
        attachments: Attachments,
        reader: PictureReader,
        requests: Requests,
        intake: Intake,
        models: Models,
        limits: Limits,
        jobs: Jobs,
        images: Images,
        timings: Timings,
    ) -> None:
        self._pointed = pointed
        self._attachments = attachments
        self._reader = reader
        self._requests = requests
        self._intake = intake
        self._models = models
        self._limits = limits
        self._jobs = jobs
        self._images = images
        self._timings = timings

    async def begin(self, interaction: Interaction, found: FoundPicture, wish: UltimateWish) -> None:
        """Raises UserFacingError: those of `ultimate_of`, of `Attachments.taken`, whatever refuses a job."""
        ours = await self._pointed.ours(found)
        if ours is not None:
            image, job = ours
            ref = ImageRef(
                ref=f"{IMAGE_SCHEME}{image.id}", sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes
            )
            base = await self._base(job, image) or self._built(interaction, image.infotext)
            await self._begin(interaction, wish, ref, (image.width, image.height), base, image.id)
            return
        self._attachments.check(found)
        hidden = await self._intake.is_private(interaction)
        async with acknowledged(interaction, hidden=hidden), self._attachments.taken(found, None) as given:
            base = self._built(interaction, await self._reader.infotext(await self._attachments.fetch(found)))
            await self._begin(interaction, wish, given.image, (given.width, given.height), base, None)

    async def _begin(
        self,
        interaction: Interaction,
        wish: UltimateWish,
        ref: ImageRef,
        size: tuple[int, int],
        base: JobSpec | None,
        source: ImageId | None,
    ) -> None:
        if base is None:
            base = self._requests.build(interaction, ImagineOptions(wish.prompt or _NOTHING)).spec
            # The usual styles belong to what is drawn from nothing; here the picture is what is there.
            base = base.model_copy(update={"prompt": wish.prompt})
        spec = ultimate_of(wish, base, ref, size, self._models.facts(where_of(interaction)), self._limits)
        texts = texts_for(str(interaction.locale))
        await self._intake.begin(
            interaction, spec, Action.ULTIMATE, source_image_id=source, notes=[self._cost(spec, texts)]
        )

    async def _base(self, job: Job, image: Image) -> JobSpec | None:
        """What drew it, however often it was enlarged since; None for one from elsewhere that was only enlarged."""
        if isinstance(job.task, Ultimate):
            return job.task.drawing
        if isinstance(job.task, Drawing):
            return actions.picture_spec(job.spec, image.index)
        origin, index = await origin_of(self._jobs, self._images, job, image.index)
        return actions.picture_spec(origin.spec, index) if isinstance(origin.task, Drawing) else None

    def _built(self, interaction: Interaction, infotext: str | None) -> JobSpec | None:
        """Of what a picture says of itself; what of it is not here is left out, as it is when a text is pasted."""
        if not infotext or not parse_infotext(infotext).prompt:
            return None
        try:
            return self._requests.build(interaction, ImagineOptions(infotext)).spec
        except UserFacingError:
            return None

    def _cost(self, spec: Ultimate, texts: Texts) -> str:
        """Of a request that may well take an hour."""
        seconds = self._timings.estimate_s(spec.checkpoint, work_units(spec))
        values = {"n": len(spec.tiles()), "width": spec.width, "height": spec.height}
        if seconds is None:
            return texts("ultimate.cost_unknown", **values)
        return texts("ultimate.cost", time=span(seconds, texts), **values)

    # --- the form -----------------------------------------------------------------------------------------------------

    def form(self, interaction: Interaction, find: Find, number: int) -> discord.ui.Modal:
        texts = texts_for(str(interaction.locale))
        facts = self._models.facts(where_of(interaction))
        form = form_of(texts("ultimate.form"), encode(Verb.ULTIMATE_FORM, find.id, number))
        factors = [(f"{factor:g}", texts("enlarge.times", n=f"{factor:g}")) for factor in FACTORS]
        select_field(form, "factor", texts("enlarge.factor"), "", factors, "2")
        builtin = [name for name in UPSCALERS if name not in LATENT_UPSCALERS and name != "None"]
        names = [(name, name) for name in (*names_of("upscaler", facts), *builtin) if len(name) <= 100]
        upscaler = default_upscaler(facts)
        select_field(form, "upscaler", texts("enlarge.upscaler"), texts("enlarge.upscaler_hint"), names, upscaler)
        seams = [(key, texts(f"ultimate.seams.{name.replace(' ', '_')}")) for key, name in SEAMS.items()]
        select_field(form, "seams", texts("ultimate.seams_field"), texts("ultimate.seams_hint"), seams, "none")
        text_field(
            form, "denoise", texts("ultimate.denoise_field"), texts("ultimate.denoise_hint"), f"{DENOISE:g}",
            paragraph=False, max_length=10,
        )  # fmt: skip
        text_field(
            form, "prompt", texts("ultimate.prompt_field"), texts("ultimate.prompt_hint"), "", max_length=FORM_CHARS
        )
        return form

    async def submitted(self, interaction: Interaction, found: FoundPicture, fields: Mapping[str, str]) -> None:
        """Raises as `begin`, and UserFacingError (`parameter_not_number`)."""
        texts = texts_for(str(interaction.locale))
        wish = UltimateWish(
            factor=float(fields.get("factor") or 2),
            upscaler=fields.get("upscaler") or None,
            seams=fields.get("seams") or "none",
            prompt=(fields.get("prompt") or "").strip(),
        )
        typed = (fields.get("denoise") or "").strip()
        if typed:
            try:
                wish = replace(wish, denoise=decimal(typed))
            except ValueError as error:
                name = texts("ultimate.denoise_field")
                raise UserFacingError("parameter_not_number", value=typed[:40], name=name) from error
        await self.begin(interaction, found, wish)
