"""Suggestions that come too late are no error: whoever typed has typed on, and the next ones are on their way."""

from __future__ import annotations

import logging

import discord

__all__ = ["LateSuggestions"]

UNKNOWN_INTERACTION = 10062


class LateSuggestions(logging.Filter):
    """For the logger of discord.py's command tree, which reports every failed autocomplete as an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        late = isinstance(error, discord.NotFound) and error.code == UNKNOWN_INTERACTION
        return not (late and "autocomplete" in str(record.msg))
