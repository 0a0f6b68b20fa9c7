"""How long something takes, in words: as finely as it is long."""

from __future__ import annotations

import math

from bot.i18n import Texts

__all__ = ["span"]

MINUTES_FROM_S = 90


def span(seconds: float, texts: Texts) -> str:
    """“20 seconds”, and from a minute and a half on “4 minutes”, rounded up; never less than a second."""
    if seconds < MINUTES_FROM_S:
        return texts("combine.seconds", n=max(1, round(seconds)))
    return texts("combine.minutes", n=math.ceil(seconds / 60))
