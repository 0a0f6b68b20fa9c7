"""The database, looked at without changing it, even while a bot runs on it."""

from __future__ import annotations

import contextlib
import sqlite3

from filelock import FileLock, Timeout

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings
from bot.storage.migrate import applied_migrations, known_migrations

__all__ = ["bot_is_running", "check_database"]


def bot_is_running(settings: Settings) -> bool:
    """Whether another process holds the lock of this data folder (bot/storage/database.py takes it)."""
    path = settings.database_path.with_suffix(".lock")
    if not path.exists():
        return False
    try:
        with FileLock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def check_database(say: Texts, settings: Settings, *, bot_runs: bool) -> Check:
    path = settings.database_path
    if not path.exists() or path.stat().st_size == 0:
        return finding(say, "database", State.OK, "none")
    backups = path.parent / "backups"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.5)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            applied = applied_migrations(connection)
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return finding(say, "database", State.WARN, "locked", path=path)
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return finding(say, "database", State.FAIL, "unreadable", path=path)
        return finding(say, "database", State.FAIL, "damaged", path=path, backups=backups)
    if verdict != "ok":
        return finding(say, "database", State.FAIL, "damaged", path=path, backups=backups)
    known = known_migrations()
    if unknown := [name for name in applied if name not in known]:
        return finding(say, "database", State.FAIL, "newer", unknown=", ".join(unknown), backups=backups)
    size = f"{path.stat().st_size / 2**20:.1f} MiB"
    if missing := len(known) - len(applied):
        return finding(say, "database", State.OK, "older", size=size, missing=missing)
    return finding(say, "database", State.OK, "running" if bot_runs else "good", size=size)
