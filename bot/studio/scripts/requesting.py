"""What a script's command begins with: the request of one picture, through the same path as /imagine."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import discord

from bot.domain.audience import read_audience
from bot.domain.flags import read_flags
from bot.domain.ids import UserId
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.next_request import with_next_picture
from bot.domain.parameters import Parameters
from bot.domain.pasted import is_infotext
from bot.domain.templates import to_be_drawn
from bot.domain.text import clean
from bot.i18n import texts_for
from bot.storage.model_choices import NextPictures
from bot.studio.attachments import Attachments
from bot.studio.dynamic import Dynamic, in_time
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.usual import Usuals
from bot.studio.wardrobe import Wardrobe
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.language.pictures import picture_spec
from gpu_worker.protocol.specs import JobSpec

__all__ = ["Asked", "Base", "ScriptBases"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command was given; as `ImagineOptions`."""

    prompt: str
    negative: str | None = None
    style: str | None = None
    lora: str | None = None
    wishes: Parameters = field(default_factory=Parameters)
    image: discord.Attachment | None = None
    mask: discord.Attachment | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """`spec` draws one picture, and nothing of it is to be drawn by chance any more."""

    spec: JobSpec
    typed: str
    """Of the prompt what was typed, as it stands in it: without flags, styles and LoRAs. Empty where that cannot be
    told, as of a pasted infotext."""
    typed_negative: str
    notes: Sequence[str]
    private: bool


class ScriptBases:
    def __init__(
        self,
        *,
        intake: Intake,
        attachments: Attachments,
        models: Models,
        usuals: Usuals,
        wardrobe: Wardrobe,
        next_pictures: NextPictures,
        dynamic: Dynamic,
        limits: Limits,
    ) -> None:
        self._intake = intake
        self._attachments = attachments
        self._models = models
        self._usuals = usuals
        self._wardrobe = wardrobe
        self._next_pictures = next_pictures
        self._dynamic = dynamic
        self._limits = limits
        self._rng = random.SystemRandom()

    @contextlib.asynccontextmanager
    async def begun(self, interaction: Interaction, asked: Asked) -> AsyncGenerator[Base]:
        """The pictures that were given are kept meanwhile. Raises UserFacingError as a new request."""
        if asked.image is not None:  # before it is fetched and kept for nothing
            await self._intake.require_room(UserId(interaction.user.id))
        where = where_of(interaction)
        facts = self._models.facts(where)
        usual = self._usuals.at(where, facts)
        pasted = is_infotext(asked.prompt)
        chosen = await self._wardrobe.chosen(where, asked.style, None if pasted else usual.style)
        build = partial(
            build_imagine,
            styles=chosen.styles,
            facts=facts,
            limits=self._limits,
            server_defaults=usual.server,
            user_defaults=usual.user,
            rng=self._rng,
        )
        prompt, private = read_audience(asked.prompt)
        if private is None:
            private = await self._intake.is_private(interaction)
        wish = await self._next_pictures.get(where.user_id)
        async with self._attachments.given(interaction, asked.image, asked.mask, hidden=True) as picture:
            options = ImagineOptions(
                prompt,
                asked.negative,
                asked.lora,
                replace(asked.wishes, count=1),
                picture,
                usual_negative=usual.negative,
            )
            built, left = with_next_picture(wish, options, build, facts)
            notes = [*chosen.notes, *built.notes]
            spec = built.spec
            typed = "" if pasted else _standing(read_flags(clean(prompt).text).prompt, spec.prompt)
            unwanted = _standing(clean(asked.negative or "").text, spec.negative_prompt)
            if to_be_drawn(spec):
                asked_spec = spec.model_copy(update={"template": None})
                drawn, more = await in_time(interaction, self._dynamic.drawn(asked_spec, where), hidden=True)
                notes += more
                spec = picture_spec(drawn, 0)
                typed = _drawn(typed, asked_spec.prompt, spec.prompt)
                unwanted = _drawn(unwanted, asked_spec.negative_prompt, spec.negative_prompt)
            spec = spec.model_copy(update={"count": 1, "batch_size": 0, "texts": (), "template": None})
            told_notes = told(notes, texts_for(str(interaction.locale)))
            yield Base(spec, typed, unwanted, told_notes, private)
        if not wish.empty:
            await self._next_pictures.use_up(where.user_id, wish, left)


def _standing(typed: str, whole: str) -> str:
    typed = typed.strip()
    return typed if typed and typed in whole else ""


def _drawn(typed: str, before: str, after: str) -> str:
    """What became of `typed` when `before` was drawn, as long as nothing around it changed."""
    if not typed:
        return ""
    start, _, end = before.partition(typed)
    whole = len(start) + len(end) <= len(after) and after.startswith(start) and after.endswith(end)
    return after[len(start) : len(after) - len(end)] if whole else ""
