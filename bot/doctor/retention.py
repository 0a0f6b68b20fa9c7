"""What would become of old pictures now: the same questions that the bot asks, without taking anything."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

from bot.doctor.report import Check, State, finding
from bot.domain.amounts import size_text
from bot.i18n import Texts
from bot.settings import Settings
from bot.storage.retention import OLDEST, TOO_OLD, TOO_OLD_THERE, TOTAL

__all__ = ["check_retention"]


def check_retention(say: Texts, settings: Settings) -> Iterator[Check]:
    """Nothing where there is no database, or one that another check tells of."""
    path = settings.database_path
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.5)) as connection:
            yield _check(say, settings, connection)
    except sqlite3.DatabaseError:  # locked, damaged, or of before there was any of this
        return


def _check(say: Texts, settings: Settings, connection: sqlite3.Connection) -> Check:
    (total,) = connection.execute(TOTAL).fetchone()
    servers = connection.execute("SELECT 1 FROM server_retention LIMIT 1").fetchone()
    size = size_text(total)
    if settings.keep_days is None and settings.keep_gb is None and servers is None:
        return finding(say, "retention", State.OK, "none", size=size)
    now = time.time()
    gone = {row[0]: row[2] for row in connection.execute(TOO_OLD_THERE, (now, -1))}
    if settings.keep_days is not None:
        gone |= {row[0]: row[2] for row in connection.execute(TOO_OLD, (now, settings.keep_days, -1))}
    if settings.keep_gb is not None:
        limit = settings.keep_gb * 1e9
        for image_id, _, size_bytes in connection.execute(OLDEST, (-1,)):
            if total - sum(gone.values()) <= limit:
                break
            gone[image_id] = size_bytes
        if total - sum(gone.values()) > limit:
            return finding(say, "retention", State.WARN, "full", size=size)
    if not gone:
        return finding(say, "retention", State.OK, "nothing", size=size)
    freed = size_text(sum(gone.values()))
    return finding(say, "retention", State.OK, "some", size=size, pictures=len(gone), freed=freed)
