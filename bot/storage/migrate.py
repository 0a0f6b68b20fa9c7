"""Dated SQL migrations: a backup first, each in one transaction with its own bookkeeping, unknown ones refused."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from bot.storage.refusals import made_by_newer

__all__ = ["applied_migrations", "known_migrations", "migrate"]

BACKUPS_KEPT = 5


def known_migrations() -> dict[str, str]:
    """Id (file stem) → SQL, in order."""
    folder = resources.files("bot.storage") / "migrations"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return {item.name.removesuffix(".sql"): item.read_text(encoding="utf-8") for item in files}


def applied_migrations(connection: sqlite3.Connection) -> list[str]:
    exists = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone()
    if exists is None:
        return []
    return [str(row[0]) for row in connection.execute("SELECT id FROM schema_migrations ORDER BY id")]


def migrate(path: Path, migrations: Mapping[str, str] | None = None, *, busy_s: float = 5.0) -> list[str]:
    """Applies what is missing and returns its ids. A database that holds anything is backed up first.

    Raises StartupError where the database knows a migration that we do not (a newer version made it), and
    sqlite3.DatabaseError where the file is damaged; either way nothing was changed.
    """
    wanted = known_migrations() if migrations is None else dict(migrations)
    existed = path.exists() and path.stat().st_size > 0
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=busy_s)) as connection:
        if existed:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        done = applied_migrations(connection)
        unknown = [name for name in done if name not in wanted]
        if unknown:
            raise made_by_newer(path, unknown)
        missing = [name for name in wanted if name not in done]
        if missing and existed:
            _back_up(connection, path, missing[0])
        for name in missing:
            _apply(connection, name, wanted[name])
        return missing


def _apply(connection: sqlite3.Connection, name: str, sql: str) -> None:
    # executescript commits whatever is open, so the transaction has to be part of the script itself.
    script = (
        "BEGIN IMMEDIATE;\n"
        "CREATE TABLE IF NOT EXISTS schema_migrations (id TEXT PRIMARY KEY, applied_at REAL NOT NULL) STRICT;\n"
        f"{sql}\n"
        f"INSERT INTO schema_migrations VALUES ('{name}', {time.time()});\n"
        "COMMIT;"
    )
    try:
        connection.executescript(script)
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _back_up(connection: sqlite3.Connection, path: Path, before: str) -> None:
    folder = path.parent / "backups"
    folder.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = folder / f"{path.stem}-{stamp}-before-{before}.sqlite"
    part = target.with_suffix(".part")  # a copy that a crash cut short must not look like a backup
    part.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(part)) as copy:
            connection.backup(copy)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    for old in sorted(folder.glob(f"{path.stem}-*-before-*.sqlite"))[:-BACKUPS_KEPT]:
        old.unlink(missing_ok=True)
