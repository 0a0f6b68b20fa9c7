"""Whether there is a copy of the database to go back to, and how old it is."""

from __future__ import annotations

import time

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings
from bot.storage.backup import backups_in

__all__ = ["check_backups"]

_LATE = 3
"""So many intervals without a copy are too many; some are missed because nothing runs at night."""
_HOUR_S = 3600.0


def check_backups(say: Texts, settings: Settings, now: float | None = None) -> Check:
    now = time.time() if now is None else now
    folder = settings.backups_dir
    found = backups_in(folder)
    if not settings.database_path.exists():
        return finding(say, "backups", State.OK, "nothing_yet")
    if not found:
        return finding(say, "backups", State.WARN, "none", folder=folder)
    hours = max(0.0, (now - found[0].made_at) / _HOUR_S)
    age = say("startup.doctor.backups.hours", n=round(hours)) if hours < 48 else say(
        "startup.doctor.backups.days", n=round(hours / 24)
    )  # fmt: skip
    if settings.backup_hours and hours > _LATE * settings.backup_hours + 1:
        return finding(say, "backups", State.WARN, "old", age=age, folder=folder)
    return finding(say, "backups", State.OK, "good", age=age, count=len(found), folder=folder)
