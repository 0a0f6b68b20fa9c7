"""/describe: a picture goes to a tagger, and what it saw can be drawn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import discord

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.described import Seen, aspect_of, find_tagger, seen
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action, Job
from bot.domain.parameters import Parameters
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.finds import FoundPicture
from bot.studio.attachments import Attachments
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, text_field
from gpu_worker.protocol.specs import Describe, ImageRef

__all__ = ["CHARACTER", "GENERAL", "Describing"]

GENERAL = float(Describe.model_fields["general"].default)
CHARACTER = float(Describe.model_fields["character"].default)


class Describing:
    def __init__(
        self,
        *,
        pointed: Pointed,
        attachments: Attachments,
        requests: Requests,
        intake: Intake,
        models: Models,
    ) -> None:
        self._pointed = pointed
        self._attachments = attachments
        self._requests = requests
        self._intake = intake
        self._models = models

    def tagger(self, interaction: Interaction, wanted: str | None) -> str:
        """Raises UserFacingError as `find_tagger`."""
        return find_tagger(wanted, self._models.facts(where_of(interaction)))

    async def begin(
        self,
        interaction: Interaction,
        found: FoundPicture,
        *,
        tagger: str | None = None,
        general: float = GENERAL,
        character: float = CHARACTER,
    ) -> None:
        """Raises UserFacingError: those of `find_tagger` and `Attachments.taken`, whatever refuses a job."""
        name = self.tagger(interaction, tagger)
        ours = await self._pointed.ours(found)
        if ours is not None:
            image, _ = ours
            ref = ImageRef(
                ref=f"{IMAGE_SCHEME}{image.id}", sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes
            )
            spec = Describe(image=ref, tagger=name, general=general, character=character)
            await self._intake.begin(interaction, spec, Action.DESCRIBE, source_image_id=image.id)
            return
        self._attachments.check(found)
        hidden = await self._intake.is_private(interaction)
        async with acknowledged(interaction, hidden=hidden), self._attachments.taken(found, None) as given:
            spec = Describe(image=given.image, tagger=name, general=general, character=character)
            await self._intake.begin(interaction, spec, Action.DESCRIBE)

    # --- what was seen ------------------------------------------------------------------------------------------------

    async def draw(self, interaction: Interaction, job: Job) -> None:
        """The presser's own picture of it. Raises UserFacingError: `nothing_seen`, whatever refuses a job."""
        found = await self._seen(job)
        await self._draw(interaction, job, found.prompt, "")

    async def form(self, interaction: Interaction, job: Job) -> discord.ui.Modal:
        """Raises UserFacingError (`nothing_seen`)."""
        found = await self._seen(job)
        texts = texts_for(str(interaction.locale))
        form = form_of(texts("describe.form"), encode(Verb.EDIT_TAGS_FORM, job.id))
        text_field(
            form, "prompt", texts("form.edit.prompt"), texts("form.edit.prompt_hint"), found.prompt, required=True
        )
        text_field(form, "negative", texts("form.edit.negative"), texts("form.edit.negative_hint"), "")
        return form

    async def submitted(self, interaction: Interaction, job: Job, fields: Mapping[str, str]) -> None:
        await self._draw(interaction, job, fields.get("prompt", ""), fields.get("negative", ""))

    async def _draw(self, interaction: Interaction, job: Job, prompt: str, negative: str) -> None:
        size = job.description
        aspect = aspect_of(size.width, size.height) if size is not None else None
        options = ImagineOptions(prompt, negative or None, base=Parameters(aspect=aspect))
        built = self._requests.build(interaction, options)
        notes = told(built.notes, texts_for(str(interaction.locale)))
        await self._intake.begin(interaction, built.spec, Action.IMAGINE, notes=notes)

    async def _seen(self, job: Job) -> Seen:
        found = await asyncio.to_thread(seen, job.description) if job.description is not None else None
        if found is None or not found.prompt:
            raise UserFacingError("nothing_seen")
        return found
