"""Copies of the database in one zip each (bot/storage/restore.py is the way back). Everything here blocks: it is for
threads and the shell.

A copy is taken by SQLite's own backup in one step, so it is one moment of a running bot's database and holds up no
writer (WAL). It is looked through before it counts, holds no interaction token, and stands under its name only when it
is complete on the disk.
"""

from __future__ import annotations

import calendar
import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bot.storage.durable import clear, sync, sync_folder
from bot.storage.migrate import applied_migrations

__all__ = [
    "DATABASE_NAME", "MANIFEST_NAME", "SETTINGS_NAME", "SPARE_BYTES", "BackupFile", "BadBackupError", "backups_in",
    "check_backup", "make_backup", "require_sound",
]  # fmt: skip

DATABASE_NAME = "pincel.sqlite"
SETTINGS_NAME = "settings.env"
MANIFEST_NAME = "backup.json"
FORMAT = 1
_NAME = re.compile(r"pincel-backup-(\d{8})-(\d{6})(?:-\d+)?\.zip")
_UNDER_WAY = ".backup-under-way-"
_LEFT_S = 24 * 3600.0
"""What is older was left by a process that died."""
_SMALL_BYTES = 1 << 20
"""More than the manifest or the settings ever need."""
SPARE_BYTES = 64 << 20
"""Left free beside what a copy needs."""


class BadBackupError(Exception):
    """`reason`: `unreadable`, `foreign`, `damaged`, `newer`, `no_room`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} {detail}".strip())
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class BackupFile:
    path: Path
    made_at: float
    size_bytes: int


def backups_in(folder: Path) -> list[BackupFile]:
    """Newest first; by their names, so that a copied folder tells the same."""
    found: list[BackupFile] = []
    with contextlib.suppress(OSError):
        for path in folder.glob("pincel-backup-*.zip"):
            name = _NAME.fullmatch(path.name)
            if name is not None:
                with contextlib.suppress(OSError, ValueError):
                    made = time.strptime(name[1] + name[2], "%Y%m%d%H%M%S")
                    found.append(BackupFile(path, _utc(made), path.stat().st_size))
    return sorted(found, key=lambda one: (one.made_at, one.path.name), reverse=True)


def make_backup(
    database: Path, folder: Path, settings_text: str, *, keep: int, now: Callable[[], float] = time.time
) -> BackupFile:
    """Works beside a running bot. Then the oldest of more than `keep` go.

    Raises BadBackupError (`damaged`: the database itself is; `no_room`), OSError, sqlite3.Error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    need = database.stat().st_size
    if shutil.disk_usage(folder).free < 2 * need + SPARE_BYTES:
        raise BadBackupError("no_room", str(folder))
    at = now()
    # A process of its own may make one at the same time, from the shell.
    copy = folder / f"{_UNDER_WAY}{os.getpid()}.sqlite"
    part = copy.with_suffix(".zip.part")
    _clear_left(folder, at)
    try:
        clear(copy, part)
        with (
            contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)  # all pages in one step: a reader's snapshot, which nobody waits for
            target.execute("PRAGMA journal_mode=DELETE")
            _drop_tokens(target)
            require_sound(target)
            migrations = applied_migrations(target)
        manifest = {
            "format": FORMAT,
            "made_at": at,
            "sha256": _sha256(copy),
            "size_bytes": copy.stat().st_size,
            "migrations": migrations,
        }
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.writestr(MANIFEST_NAME, json.dumps(manifest, indent=2))
            archive.writestr(SETTINGS_NAME, settings_text)
            archive.write(copy, DATABASE_NAME)
        sync(part)
        path = _free_name(folder, at)
        part.replace(path)
        sync_folder(folder)
    finally:
        clear(copy, part)
    for old in backups_in(folder)[max(1, keep) :]:
        old.path.unlink(missing_ok=True)
    return BackupFile(path, at, path.stat().st_size)


def check_backup(path: Path) -> Mapping[str, Any]:
    """The manifest of a zip that is one of ours and says that we can read it; its database is not unpacked yet.

    Raises BadBackupError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(MANIFEST_NAME)
            if info.file_size > _SMALL_BYTES:
                raise BadBackupError("foreign")
            manifest: Any = json.loads(archive.read(info))
            archive.getinfo(DATABASE_NAME)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise BadBackupError("unreadable", str(error)) from error
    except (KeyError, ValueError) as error:
        raise BadBackupError("foreign") from error
    if not isinstance(manifest, dict):
        raise BadBackupError("foreign")
    found = cast("dict[str, Any]", manifest)
    if not isinstance(found.get("format"), int) or not isinstance(found.get("sha256"), str):
        raise BadBackupError("foreign")
    if found["format"] > FORMAT:
        raise BadBackupError("newer")
    return found


# --- parts ------------------------------------------------------------------------------------------------------------


def _utc(made: time.struct_time) -> float:
    return float(calendar.timegm(made))


def _free_name(folder: Path, at: float) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(at))
    path, number = folder / f"pincel-backup-{stamp}.zip", 2
    while path.exists():
        path = folder / f"pincel-backup-{stamp}-{number}.zip"
        number += 1
    return path


def _clear_left(folder: Path, now: float) -> None:
    for left in folder.glob(f"{_UNDER_WAY}*"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < now - _LEFT_S:
                left.unlink()


def _drop_tokens(connection: sqlite3.Connection) -> None:
    """Interaction tokens live a quarter of an hour; none of them need lie in a copy."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = {row[1]: row for row in connection.execute(f"PRAGMA table_info('{table}')")}
        if {"token", "token_expires_at"} <= columns.keys() and not columns["token"][3]:
            connection.execute(f'UPDATE "{table}" SET token = NULL, token_expires_at = NULL')  # noqa: S608 - ours
    connection.commit()
    connection.execute("VACUUM")  # a deleted value's bytes would stay in the file


def require_sound(connection: sqlite3.Connection) -> None:
    """Raises BadBackupError."""
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise BadBackupError("damaged", str(error)) from error
    if verdict != "ok":
        raise BadBackupError("damaged", str(verdict))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
