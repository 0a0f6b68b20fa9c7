"""Opens the database: lock, damage check, migrations with a backup first, one writer and one reader."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Any

import aiosqlite
from filelock import FileLock, Timeout

from bot.storage.migrate import migrate
from bot.storage.refusals import folder_unwritable, refusal_of, result_code, second_bot

__all__ = ["Database", "Row", "StorageFullError", "open_database"]

Row = sqlite3.Row
SYNCHRONOUS = "synchronous=FULL"
"""An answered user's job survives a power cut, not only a crash of ours. Only tests want less."""


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
        self.on_write: Callable[[float], None] | None = None
        """Told how many seconds each transaction took, from asking for its turn until it was on the disk."""

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncGenerator[aiosqlite.Connection]:
        """Raises StorageFullError where SQLite could not write."""
        began = time.perf_counter()
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
        self._wrote(began)

    async def write_one(self, sql: str, values: Iterable[Any] = ()) -> list[Row]:
        """One statement as a transaction of its own; gives what it RETURNs. Raises StorageFullError.

        One turn of the writer's thread where `write()` takes three and more: on busy cores every turn waits for a core,
        twice, and all other writers wait with it.
        """
        began = time.perf_counter()
        async with self._turn:
            try:
                rows = list(await self._writer.execute_fetchall(sql, tuple(values)))
            except sqlite3.OperationalError as error:
                if _is_full(error):
                    raise StorageFullError from error
                raise
        self._wrote(began)
        return rows

    def _wrote(self, began: float) -> None:
        if self.on_write is not None:
            self.on_write(time.perf_counter() - began)

    async def one(self, sql: str, values: Iterable[Any] = ()) -> Row | None:
        """The first row; give `sql` a LIMIT where there may be many."""
        rows = await self.all(sql, values)
        return rows[0] if rows else None

    async def all(self, sql: str, values: Iterable[Any] = ()) -> list[Row]:
        # In one turn of the connection's thread: a cursor left open between two awaits would hold the connection's
        # snapshot, and every read that overlaps it, in the time before a commit that its caller has already seen.
        return list(await self._reader.execute_fetchall(sql, tuple(values)))

    async def close(self) -> None:
        """Waits for the transaction that is open."""
        async with self._turn:
            await self._reader.close()
            # Folds the WAL back into the file, so a copy of the one file is a whole backup.
            with contextlib.suppress(sqlite3.Error):
                await self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            await self._writer.close()
            self._lock.release()


def _is_full(error: sqlite3.OperationalError) -> bool:
    return result_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


async def _connect(path: Path, busy_s: float, *, read_only: bool) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None, timeout=busy_s)
    try:
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", SYNCHRONOUS, "foreign_keys=ON", f"query_only={int(read_only)}"):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
    except BaseException:
        await connection.close()  # its thread would keep the process alive
        raise
    return connection


async def open_database(path: Path, *, busy_s: float = 5.0) -> Database:
    """Opens or creates the database and brings its schema up to date.

    `busy_s` is how long another program's lock is waited for. Raises StartupError: folder not writable, another bot on
    it, locked by another program, damaged, or made by a newer version.
    """
    lock = await asyncio.to_thread(_take_lock, path)
    try:
        await asyncio.to_thread(migrate, path, busy_s=busy_s)
        writer = await _connect(path, busy_s, read_only=False)
        try:
            reader = await _connect(path, busy_s, read_only=True)
        except BaseException:
            await writer.close()
            raise
        return Database(writer, reader, lock)
    except BaseException as error:
        lock.release()
        if isinstance(error, sqlite3.DatabaseError):
            raise refusal_of(path, error) from error
        if isinstance(error, OSError):
            raise folder_unwritable(path.parent, error) from error
        raise


def _take_lock(path: Path) -> FileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not bound to the thread that takes it: the loop's own thread gives it back.
        lock = FileLock(path.with_suffix(".lock"), thread_local=False)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise second_bot(path.parent) from error
    except OSError as error:
        raise folder_unwritable(path.parent, error) from error
    return lock
