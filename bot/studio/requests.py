"""A new request from options, wherever they were given: built on what server, channel and member draw with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from bot.domain.imagine import Built, ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.notes import Note
from bot.domain.styles import Style
from bot.i18n import texts_for
from bot.studio.models import Models
from bot.studio.usual import Usuals
from bot.studio.wardrobe import Wardrobe
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.language.infotext import parse_infotext

__all__ = ["Requests"]


class Requests:
    def __init__(self, *, models: Models, usuals: Usuals, wardrobe: Wardrobe, limits: Limits) -> None:
        self._models = models
        self._wardrobe = wardrobe
        self._usuals = usuals
        self._limits = limits
        self._rng = random.SystemRandom()

    async def styles(self, interaction: Interaction, typed: str | None) -> tuple[Sequence[Style], Sequence[Note]]:
        """Those that are named, else those that are usual here. Raises UserFacingError as `Wardrobe.chosen`."""
        where = where_of(interaction)
        chosen = await self._wardrobe.chosen(where, typed, self._usuals.at(where, self._models.facts(where)).style)
        return chosen.styles, chosen.notes

    async def styles_in(self, interaction: Interaction, infotext: str) -> list[str]:
        """A sentence for each style whose texts a picture has, and in which version."""
        read, texts = parse_infotext(infotext), texts_for(str(interaction.locale))
        found = await self._wardrobe.recognised(where_of(interaction), read.prompt, read.negative_prompt)
        return [
            texts(
                "style.in_picture" if one.version == one.newest else "style.in_picture_older",
                name=spoken(one.label),
                version=one.version,
                newest=one.newest,
            )
            for one in found
        ]

    def build(self, interaction: Interaction, options: ImagineOptions, *, styles: Sequence[Style] = ()) -> Built:
        """Raises UserFacingError as `build_imagine`."""
        where = where_of(interaction)
        facts = self._models.facts(where)
        usual = self._usuals.at(where, facts)
        return build_imagine(
            replace(options, usual_negative=usual.negative) if options.usual_negative is None else options,
            styles=styles,
            facts=facts,
            limits=self._limits,
            server_defaults=usual.server,
            user_defaults=usual.user,
            rng=self._rng,
        )
