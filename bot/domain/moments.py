"""Points in time as people type them. Pure."""

from __future__ import annotations

import datetime
import re

from bot.domain.mentions import spoken
from bot.errors import UserFacingError

__all__ = ["moment"]

_AGO = re.compile(r"(\d{1,4})\s*([hdwm])")
_UNITS = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0, "m": 30 * 86_400.0}


def moment(text: str, now: float, *, end: bool = False) -> float:
    """`2026-11-26` (UTC; its end with `end`), `2026-11-26 14:30`, or how long ago: `12h`, `7d`, `2w`, `3m`.

    Raises UserFacingError (`moment_unreadable`).
    """
    wanted = text.strip().lower()
    ago = _AGO.fullmatch(wanted)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    for pattern, whole in (("%Y-%m-%d", True), ("%Y-%m-%d %H:%M", False), ("%Y-%m-%dt%H:%M", False)):
        try:
            found = datetime.datetime.strptime(wanted, pattern).replace(tzinfo=datetime.UTC)
        except ValueError:
            continue
        return (found + datetime.timedelta(days=1) if whole and end else found).timestamp()
    raise UserFacingError("moment_unreadable", text=spoken(text))
