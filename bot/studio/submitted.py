"""What a sent form does: draw again with changes, or keep a style."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from bot.domain import actions
from bot.domain.ids import JobId, UserId
from bot.domain.job import Action, Job
from bot.domain.limits import Limits
from bot.domain.mentions import neutral, spoken
from bot.domain.parameters import Parameters
from bot.domain.styles import make_style, style_from_spec
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.styles import Styles
from bot.studio.forms import fields_of, parameters_of, sampler_name, shown_part
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.pressed import Pressed
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say

__all__ = ["Submitted"]


class Submitted:
    def __init__(self, *, pressed: Pressed, intake: Intake, styles: Styles, models: Models, limits: Limits) -> None:
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

    async def unknown_component(self, interaction: Interaction) -> None:
        raise UserFacingError("button_unknown")

    async def _edit(self, interaction: Interaction, job: Job, fields: Mapping[str, str]) -> None:
        origin = await self._pressed.origin(job)
        given = parameters_of(fields.get("parameters", ""))
        wishes = _wishes(given)
        chosen = fields.get("sampler") or None
        if chosen is not None and (wishes.sampler is None or chosen != sampler_name(origin.spec)):
            wishes = replace(wishes, sampler=chosen, schedule=None)
        # A seed that was taken out of the field asks for a new one.
        changes = replace(wishes, seed=-1 if wishes.seed is None else wishes.seed)
        built = actions.edit(
            origin.spec,
            prompt=_whole(fields.get("prompt", ""), origin.spec.prompt),
            negative_prompt=_whole(fields.get("negative", ""), origin.spec.negative_prompt),
            changes=changes,
            facts=self._models.facts(),
            limits=self._limits,
            rng=self._rng,
        )
        texts = texts_for(str(interaction.locale))
        notes = [texts(f"note.{note.key}", **note.values) for note in built.notes]
        ignored = [key for key in given if key.casefold() not in _USED]
        if ignored:
            notes.append(texts("note.parameters_ignored", names=", ".join(map(spoken, ignored))))
        if _tail(origin.spec.prompt) or _tail(origin.spec.negative_prompt):
            notes.append(texts("note.tail_kept"))
        await self._intake.begin(interaction, built.spec, Action.EDIT, source_image_id=job.source_image_id, notes=notes)

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
        await self._styles.save(UserId(interaction.user.id), style, replace=replace)
        texts = texts_for(str(interaction.locale))
        await say(interaction, texts("reply.style_saved", name=neutral(style.name)))


def _tail(text: str) -> str:
    """What of a recorded text its form could not show."""
    return text[len(shown_part(text)) :]


def _whole(typed: str, recorded: str) -> str:
    return typed + _tail(recorded)


_USED = frozenset(
    {"model", "size-1", "size-2", "steps", "cfg scale", "sampler", "schedule type", "clip skip", "seed", "count"}
)
"""A1111's keys that a form's parameter line is read for."""


def _wishes(given: Mapping[str, str]) -> Parameters:
    """Upper and lower case alike; other keys are the caller's to report. Raises UserFacingError for no number."""
    known = {key.casefold(): value.strip() for key, value in given.items()}
    return Parameters(
        checkpoint=known.get("model") or None,
        width=_number(known, "size-1"),
        height=_number(known, "size-2"),
        steps=_number(known, "steps"),
        cfg_scale=_decimal(known, "cfg scale"),
        sampler=known.get("sampler") or None,
        schedule=known.get("schedule type") or None,
        clip_skip=_number(known, "clip skip"),
        seed=_number(known, "seed"),
        count=_number(known, "count"),
    )


def _number(known: Mapping[str, str], key: str) -> int | None:
    value = known.get(key)
    if not value:
        return None
    try:
        return int(value)
    except ValueError as error:
        raise UserFacingError("parameter_not_number", name=key, value=value[:40]) from error


def _decimal(known: Mapping[str, str], key: str) -> float | None:
    value = known.get(key)
    if not value:
        return None
    try:
        return float(value.replace(",", "."))
    except ValueError as error:
        raise UserFacingError("parameter_not_number", name=key, value=value[:40]) from error
