"""The way back from a copy of the database. Everything here blocks: it is for the shell.

Killed at any moment, it leaves the database from before or the copy, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.storage.backup import DATABASE_NAME, SPARE_BYTES, BadBackupError, check_backup, require_sound
from bot.storage.durable import clear, sync, sync_folder
from bot.storage.migrate import applied_migrations, known_migrations

__all__ = ["Restored", "restore_backup"]

_STEP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Restored:
    aside: Path | None
    """Where the database from before lies now; None where there was none."""
    made_at: float
    ended_jobs: int
    """Jobs that waited when the copy was made: they were drawn long ago, or are of no use to anybody any more."""


def restore_backup(path: Path, database: Path, *, keep_queue: bool = False) -> Restored:
    """Puts the copy in the database's place; the caller holds the lock of the data folder.

    The one from before is copied aside first, whole, so that nothing is lost by a mistake. Killed at any moment, this
    leaves either database, complete. Raises BadBackupError and OSError; then nothing was changed.
    """
    manifest = check_backup(path)
    database.parent.mkdir(parents=True, exist_ok=True)
    fresh = database.with_name(f".{database.name}.restoring")
    clear(fresh)
    try:
        _unpack(path, fresh, manifest)
        with contextlib.closing(sqlite3.connect(fresh)) as connection:
            try:
                require_sound(connection)
                known = known_migrations()
                unknown = [name for name in applied_migrations(connection) if name not in known]
            except sqlite3.DatabaseError as error:
                raise BadBackupError("damaged") from error
            if unknown:
                raise BadBackupError("newer", ", ".join(unknown))
            ended = 0 if keep_queue else _end_waiting(connection)
        sync(fresh)
        aside = _put_aside(database)
        # Without these two the file that comes would be read with another one's last transactions.
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        fresh.replace(database)
        sync_folder(database.parent)
    finally:
        clear(fresh)
    return Restored(aside, float(manifest.get("made_at") or 0.0), ended)


def _unpack(path: Path, target: Path, manifest: Mapping[str, Any]) -> None:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive, archive.open(DATABASE_NAME) as source, target.open("wb") as out:
            size = archive.getinfo(DATABASE_NAME).file_size
            # The declared size is held to, and zipfile itself refuses more bytes than are declared.
            if size + SPARE_BYTES > shutil.disk_usage(target.parent).free:
                raise BadBackupError("no_room", str(target.parent))
            while block := source.read(_STEP_BYTES):
                digest.update(block)
                out.write(block)
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError) as error:
        raise BadBackupError("damaged", str(error)) from error
    except OSError as error:
        raise BadBackupError("unreadable", str(error)) from error
    except Exception as error:  # zlib.error, NotImplementedError: whatever a damaged archive makes of the reader
        if isinstance(error, BadBackupError):
            raise
        raise BadBackupError("damaged", str(error)) from error
    if digest.hexdigest() != manifest["sha256"]:
        raise BadBackupError("damaged", "another hash")


def _end_waiting(connection: sqlite3.Connection) -> int:
    with contextlib.suppress(sqlite3.OperationalError):  # a copy from before there were jobs
        now = time.time()
        connection.execute("UPDATE attempts SET ended_at = ?, outcome = 'withdrawn' WHERE outcome IS NULL", (now,))
        cursor = connection.execute(
            "UPDATE jobs SET status = 'cancelled', finished_at = ?, told_at = ? "
            "WHERE status IN ('queued', 'assigned', 'done', 'delivering')",
            (now, now),
        )
        connection.execute(
            "UPDATE jobs SET told_at = ? WHERE told_at IS NULL AND status IN ('failed', 'cancelled')", (now,)
        )
        connection.commit()
        return cursor.rowcount
    return 0


def _put_aside(database: Path) -> Path | None:
    """A copy of the database with everything that its log still holds. A damaged one is copied as it lies there."""
    if not database.exists():
        return None
    folder = database.parent / "backups"
    folder.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target, number = folder / f"{database.stem}-{stamp}-before-restore.sqlite", 2
    while target.exists():
        target = folder / f"{database.stem}-{stamp}-before-restore-{number}.sqlite"
        number += 1
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        with (
            contextlib.closing(sqlite3.connect(database, timeout=5)) as source,
            contextlib.closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)
        sync(part)
        part.replace(target)
    except sqlite3.Error:
        part.unlink(missing_ok=True)
        for suffix in ("-wal", "-shm", ""):
            lying = database.with_name(database.name + suffix)
            if lying.exists():
                shutil.copyfile(lying, target.with_name(target.name + suffix))
                sync(target.with_name(target.name + suffix))
    sync_folder(folder)
    return target
