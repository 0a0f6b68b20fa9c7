"""The language somebody chose goes before that of their Discord, in whatever they do."""

from __future__ import annotations

from functools import cache

import discord

from bot.i18n import language_of
from bot.storage.preferences import Preferences
from bot.ui.client import Interaction

__all__ = ["Languages"]


class Languages:
    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences

    def apply(self, interaction: Interaction) -> None:
        """Everything after this, the answer, the job's card and its errors, reads the interaction's locale. Once more
        after a choice, it follows that choice."""
        own: discord.Locale = interaction.extras.setdefault("locale", interaction.locale)
        chosen = self._preferences.language(interaction.user.id)
        locale = _locale_of(chosen) if chosen else None
        keeps = locale is None or language_of(str(own)) == chosen
        interaction.locale = own if keeps or locale is None else locale


@cache
def _locale_of(language: str) -> discord.Locale | None:
    """One of Discord's locales that is shown in `language`; None for a language that is there no more."""
    return next((locale for locale in discord.Locale if language_of(locale.value) == language), None)
