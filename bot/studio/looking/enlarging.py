"""/upscale, and its form: which upscaler, how much larger, and whether new detail is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain import actions
from bot.domain.enlarging import FACTORS, Enlargement, creative, default_upscaler, plain
from bot.domain.ids import ImageId
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action, Image, Job
from bot.domain.limits import Limits
from bot.domain.models import LATENT_UPSCALERS, UPSCALERS, face_models, names_of
from bot.domain.values import decimal
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.finds import Find, FoundPicture
from bot.studio.attachments import Attachments
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.reading import PictureReader
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, select_field, text_field
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import Drawing, ImageRef, JobSpec

__all__ = ["Enlarging"]

FORM_CHARS = 1000
_NO_FACES = "-"
"""Discord knows no empty value."""


class Enlarging:
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
    ) -> None:
        self._pointed = pointed
        self._attachments = attachments
        self._reader = reader
        self._requests = requests
        self._intake = intake
        self._models = models
        self._limits = limits

    async def begin(self, interaction: Interaction, found: FoundPicture, wish: Enlargement) -> None:
        """Raises UserFacingError: those of `plain` and `creative`, of `Attachments.taken`, whatever refuses a job."""
        ours = await self._pointed.ours(found)
        if ours is not None:
            image, job = ours
            ref = ImageRef(
                ref=f"{IMAGE_SCHEME}{image.id}", sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes
            )
            await self._begin(interaction, wish, ref, (image.width, image.height), self._base(job, image), image.id)
            return
        self._attachments.check(found)
        hidden = await self._intake.is_private(interaction)
        async with acknowledged(interaction, hidden=hidden), self._attachments.taken(found, None) as given:
            base: JobSpec | None = None
            if wish.denoise and not wish.prompt:
                text = await self._reader.infotext(await self._attachments.fetch(found))
                # Its own parameters; what of them is not here is left out, as it is when a text is pasted.
                base = self._built(interaction, text) if text and parse_infotext(text).prompt else None
            await self._begin(interaction, wish, given.image, (given.width, given.height), base, None)

    async def _begin(
        self,
        interaction: Interaction,
        wish: Enlargement,
        ref: ImageRef,
        size: tuple[int, int],
        base: JobSpec | None,
        source: ImageId | None,
    ) -> None:
        facts = self._models.facts(where_of(interaction))
        if not wish.denoise:
            spec = plain(wish, ref, size, facts, self._limits)
            await self._intake.begin(interaction, spec, Action.ENLARGE, source_image_id=source)
            return
        notes: list[str] = []
        if wish.prompt:
            if base is not None:
                base = base.model_copy(update={"prompt": wish.prompt, "texts": (), "template": None})
            else:
                built = self._requests.build(interaction, ImagineOptions(wish.prompt))
                base, notes = built.spec, told(built.notes, texts_for(str(interaction.locale)))
        if base is None:
            raise UserFacingError("enlarge_needs_prompt")
        drawn = creative(wish, base, ref, size, facts, self._limits)
        await self._intake.begin(interaction, drawn, Action.UPSCALE, source_image_id=source, notes=notes)

    def _base(self, job: Job, image: Image) -> JobSpec | None:
        """What drew it; None for a picture that was only enlarged."""
        if not isinstance(job.task, Drawing):
            return None
        return actions.picture_spec(job.spec, image.index)

    def _built(self, interaction: Interaction, infotext: str) -> JobSpec | None:
        try:
            return self._requests.build(interaction, ImagineOptions(infotext)).spec
        except UserFacingError:
            return None

    # --- the form -----------------------------------------------------------------------------------------------------

    def form(self, interaction: Interaction, find: Find, number: int) -> discord.ui.Modal:
        texts = texts_for(str(interaction.locale))
        facts = self._models.facts(where_of(interaction))
        form = form_of(texts("enlarge.title"), encode(Verb.ENLARGE_FORM, find.id, number))
        builtin = [name for name in UPSCALERS if name not in LATENT_UPSCALERS and name != "None"]
        names = [(name, name) for name in (*names_of("upscaler", facts), *builtin) if len(name) <= 100]
        select_field(
            form, "upscaler", texts("enlarge.upscaler"), texts("enlarge.upscaler_hint"), names, default_upscaler(facts)
        )
        factors = [(f"{factor:g}", texts("enlarge.times", n=f"{factor:g}")) for factor in FACTORS]
        select_field(form, "factor", texts("enlarge.factor"), "", factors, "2")
        if there := face_models(facts):
            rows = [(_NO_FACES, texts("enlarge.faces_off")), *((name, name) for name in there)]
            select_field(form, "faces", texts("enlarge.faces"), "", rows, _NO_FACES)
        text_field(
            form, "denoise", texts("enlarge.denoise"), texts("enlarge.denoise_hint"), "", paragraph=False, max_length=10
        )
        text_field(form, "prompt", texts("enlarge.prompt"), texts("enlarge.prompt_hint"), "", max_length=FORM_CHARS)
        return form

    async def submitted(self, interaction: Interaction, found: FoundPicture, fields: Mapping[str, str]) -> None:
        """Raises as `begin`, and UserFacingError (`parameter_not_number`)."""
        await self.begin(interaction, found, _wish(fields, texts_for(str(interaction.locale))))


def _wish(fields: Mapping[str, Any], texts: Texts) -> Enlargement:
    typed = str(fields.get("denoise") or "").strip()
    try:
        denoise = decimal(typed) if typed else None
    except ValueError as error:
        raise UserFacingError("parameter_not_number", value=typed[:40], name=texts("enlarge.denoise")) from error
    faces = str(fields.get("faces") or _NO_FACES)
    return Enlargement(
        upscaler=str(fields.get("upscaler") or "") or None,
        factor=float(fields.get("factor") or 2),
        faces=None if faces == _NO_FACES else faces,
        denoise=denoise,
        prompt=str(fields.get("prompt") or "").strip(),
    )
