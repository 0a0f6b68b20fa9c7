"""What a sent form does: draw again with changes, or keep a style."""

from __future__ import annotations

import random
from collections.abc import Mapping

from bot.domain import actions
from bot.domain.actions import first_pass
from bot.domain.audience import read_audience
from bot.domain.fields import read_fields
from bot.domain.ids import JobId
from bot.domain.job import Action, Job
from bot.domain.limits import Limits
from bot.domain.mentions import neutral, spoken
from bot.domain.notes import named
from bot.domain.styles import make_style, style_from_spec
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.images import Images
from bot.storage.styles import Styles
from bot.studio.forms import dropped_fields, edited_wishes, fields_in
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.panels import Panels
from bot.studio.pressed import Pressed
from bot.studio.sources import picture_of
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from bot.ui.forms import fields_of, shown_part

__all__ = ["Submitted"]


class Submitted:
    def __init__(
        self,
        *,
        pressed: Pressed,
        intake: Intake,
        images: Images,
        styles: Styles,
        models: Models,
        panels: Panels,
        limits: Limits,
    ) -> None:
        self._images = images
        self._panels = panels
        self._pressed = pressed
        self._intake = intake
        self._styles = styles
        self._models = models
        self._limits = limits
        self._rng = random.SystemRandom()

    async def submitted(self, interaction: Interaction, address: Address | None) -> None:
        """Raises UserFacingError; on_interaction tells it."""
        if address is None or address.verb not in (Verb.EDIT_FORM, Verb.STYLE_FORM):
            raise UserFacingError("form_unknown")
        job = await self._pressed.job(JobId(address.id))
        fields = fields_of(interaction)
        if address.verb == Verb.EDIT_FORM:
            await self._edit(interaction, job, fields)
        else:
            await self._save_style(interaction, job, fields)

    async def _edit(self, interaction: Interaction, job: Job, fields: Mapping[str, str]) -> None:
        origin = await self._pressed.origin(job)
        read = read_fields(fields_in(fields.get("parameters", "")))
        base = first_pass(origin.spec)
        wishes = edited_wishes(base, read.parameters, fields.get("sampler") or None)
        prompt, private = read_audience(_whole(fields.get("prompt", ""), origin.spec.prompt))
        built = actions.edit(
            origin.spec,
            prompt=prompt,
            negative_prompt=_whole(fields.get("negative", ""), origin.spec.negative_prompt),
            changes=wishes,
            dropped=dropped_fields(base, wishes),
            picture=picture_of(origin.spec),
            facts=self._models.facts(where_of(interaction)),
            limits=self._limits,
            rng=self._rng,
        )
        texts = texts_for(str(interaction.locale))
        notes = told(built.notes, texts)
        if read.unused:
            notes.append(texts("note.parameters_ignored", names=named([*map(spoken, read.unused)])))
        if _tail(origin.spec.prompt) or _tail(origin.spec.negative_prompt):
            notes.append(texts("note.tail_kept"))
        source = job.source_image_id
        if fields.get("advanced") == "True":
            await self._panels.open(
                interaction,
                built.spec,
                Action.EDIT,
                source_image_id=source,
                notes=notes,
                base=base,
                parent_id=job.id,
                private=bool(private),
            )
        else:
            await self._intake.begin(
                interaction,
                built.spec,
                Action.EDIT,
                source_image_id=source,
                notes=notes,
                parent_id=job.id,
                private=private,
            )

    async def _save_style(self, interaction: Interaction, job: Job, fields: Mapping[str, str]) -> None:
        spec = (await self._pressed.origin(job)).spec
        look = style_from_spec(fields.get("name", ""), spec).parameters.layer()
        style = make_style(
            fields.get("name", ""),
            _whole(fields.get("prompt", ""), spec.prompt),
            _whole(fields.get("negative", ""), spec.negative_prompt),
            look if fields.get("keep") != "no" else None,
        )
        replace = fields.get("replace") == "True"
        images = await self._images.of_job(job.id)
        preview = str(images[0].id) if images else None
        await self._styles.save_own(interaction.user.id, style, replace=replace, preview_image_id=preview)
        texts = texts_for(str(interaction.locale))
        await say(interaction, texts("reply.style_saved", name=neutral(style.name)))


def _tail(text: str) -> str:
    """What of a recorded text its form could not show."""
    return text[len(shown_part(text)) :]


def _whole(typed: str, recorded: str) -> str:
    return typed + _tail(recorded)
