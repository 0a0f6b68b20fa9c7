"""Durable records: one SQLite table of JSON bodies, one writer thread, one transaction a request.

The file is held exclusively, so a second playground on the same folder is refused instead of corrupting it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bot import exit_codes
from bot.playground.startup import startup_error

__all__ = ["Record", "Records"]

_VERSION = 1


@dataclass(frozen=True)
class Record:
    """`body` is JSON, or None to delete the record."""

    kind: str
    id: int
    body: str | None


class Records:
    """Opens (or creates) `file`; raises StartupError where it is damaged, foreign or in use."""

    def __init__(self, file: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="playground-records")
        self._file = file
        try:
            self._connection = self._thread.submit(self._open).result()
        except sqlite3.DatabaseError as error:
            in_use = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
            reason = "in_use" if in_use else "damaged"
            raise startup_error(reason, exit_codes.DATABASE, folder=file.parent, file=file) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=1.0)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL survives a killed process; only a power cut may lose the last moments of a playground.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version} is unknown")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS records"
            " (kind TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID"
        )
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")
        return connection

    def load(self, kind: str) -> Iterator[tuple[int, str]]:
        """All records of a kind by ascending id; for start-up, it blocks."""

        def rows() -> list[tuple[int, str]]:
            return self._connection.execute(
                "SELECT id, body FROM records WHERE kind = ? ORDER BY id", (kind,)
            ).fetchall()

        yield from self._thread.submit(rows).result()

    def _write(self, records: Sequence[Record]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for record in records:
                if record.body is None:
                    connection.execute("DELETE FROM records WHERE kind = ? AND id = ?", (record.kind, record.id))
                else:
                    connection.execute(
                        "INSERT INTO records (kind, id, body) VALUES (?, ?, ?)"
                        " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                        (record.kind, record.id, record.body),
                    )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def write_now(self, records: Sequence[Record]) -> None:
        """For start-up, it blocks."""
        self._thread.submit(self._write, records).result()

    async def write(self, records: Sequence[Record]) -> None:
        """Returns when the records are safe from a killed process; writes happen in the order of the calls."""
        if records:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, records)

    def close(self) -> None:
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()
