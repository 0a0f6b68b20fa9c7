"""Opens the database: lock, damage check, migrations with a backup first, one writer and one reader."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

import aiosqlite
from filelock import FileLock, Timeout

from bot import exit_codes
from bot.errors import StartupError
from bot.storage.migrate import migrate

__all__ = ["Database", "Row", "StorageFullError", "open_database"]

Row = sqlite3.Row


class StorageFullError(Exception):
    """The disk (or SQLite's quota) is full; nothing of the transaction was kept, the data before it is safe."""


class Database:
    """One connection writes, one reads, so a long read never waits behind a commit.

    `write()` gives a transaction: all of it is committed or none. Reads outside it see the last commit.
    """

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, lock: FileLock) -> None:
        self._writer = writer
        self._reader = reader
        self._lock = lock
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncGenerator[aiosqlite.Connection]:
        """Raises StorageFullError where SQLite could not write."""
        async with self._turn:
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                await self._writer.commit()
            except BaseException as error:
                # A cancelled task must not leave a transaction open for the next writer.
                with contextlib.suppress(sqlite3.Error):
                    await asyncio.shield(self._writer.rollback())
                if isinstance(error, sqlite3.OperationalError) and _is_full(error):
                    raise StorageFullError from error
                raise

    async def one(self, sql: str, values: Iterable[Any] = ()) -> Row | None:
        async with self._reader.execute(sql, tuple(values)) as cursor:
            return await cursor.fetchone()

    async def all(self, sql: str, values: Iterable[Any] = ()) -> list[Row]:
        async with self._reader.execute(sql, tuple(values)) as cursor:
            return list(await cursor.fetchall())

    async def close(self) -> None:
        await self._reader.close()
        # Folds the WAL back into the file, so a copy of the one file is a whole backup.
        with contextlib.suppress(sqlite3.Error):
            await self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        await self._writer.close()
        self._lock.release()


def _is_full(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


async def _connect(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    # FULL: an answered user's job survives a power cut, not only a crash of ours (DISPATCH.md §3).
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        await connection.execute(f"PRAGMA {pragma}")
    return connection


async def open_database(path: Path) -> Database:
    """Opens or creates the database and brings its schema up to date.

    Raises StartupError: folder not writable, another bot on it, locked by another program, damaged, or made by a newer
    version.
    """
    lock = _take_lock(path)
    try:
        await asyncio.to_thread(migrate, path)
        writer = await _connect(path)
        try:
            reader = await _connect(path)
        except BaseException:
            await writer.close()
            raise
        return Database(writer, reader, lock)
    except BaseException as error:
        lock.release()
        if isinstance(error, sqlite3.DatabaseError):
            raise _startup_error(path, error) from error
        raise


def _take_lock(path: Path) -> FileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StartupError(
            f"Another Pincel is already running on {path.parent}.",
            "Stop it first, or give this one its own folder with PINCEL_DATA.",
            exit_codes.SECOND_BOT,
        ) from error
    except OSError as error:
        raise StartupError(
            f"The folder {path.parent} cannot be written ({error.strerror}).",
            "Free disk space, correct its permissions, or choose another folder with PINCEL_DATA.",
            exit_codes.DATABASE,
        ) from error
    return lock


def _startup_error(path: Path, error: sqlite3.DatabaseError) -> StartupError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StartupError(
            f"The database {path} is locked by another program.",
            "Close whatever has it open (a database browser, a backup tool) and start again.",
            exit_codes.DATABASE,
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return StartupError(
            f"The database {path} cannot be written.",
            "Free disk space or correct the folder's permissions, then start again.",
            exit_codes.DATABASE,
        )
    return StartupError(
        f"The database {path} is damaged.",
        f"Nothing was changed. Move it away and put the newest copy from {path.parent / 'backups'} in its place, then "
        "start again; pictures in the outputs folder are not affected.",
        exit_codes.DATABASE,
    )
