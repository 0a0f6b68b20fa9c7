"""A new request from options, wherever they were given: built on what server, channel and member draw with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from bot.domain.imagine import Built, ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.styles import Style
from bot.studio.models import Models
from bot.studio.usual import Usuals
from bot.studio.where import where_of
from bot.ui.client import Interaction

__all__ = ["Requests"]


class Requests:
    def __init__(self, *, models: Models, usuals: Usuals, limits: Limits) -> None:
        self._models = models
        self._usuals = usuals
        self._limits = limits
        self._rng = random.SystemRandom()

    def build(self, interaction: Interaction, options: ImagineOptions, *, styles: Sequence[Style] = ()) -> Built:
        """Raises UserFacingError as `build_imagine`."""
        where = where_of(interaction)
        facts = self._models.facts(where)
        usual = self._usuals.at(where, facts)
        return build_imagine(
            replace(options, usual_negative=usual.negative) if options.usual_negative is None else options,
            **({"styles": styles} if styles else {}),
            facts=facts,
            limits=self._limits,
            server_defaults=usual.server,
            user_defaults=usual.user,
            rng=self._rng,
        )
