"""What is remembered of model files: what scans read, what people did, how often each was used, what was removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from bot.storage.database import Database
from gpu_worker.protocol.messages import ModelKind

__all__ = ["FileRow", "LibraryStore", "Record", "TrashRow", "Usage"]

_CHUNK = 250
"""Rows written in one transaction: a job that is to be stored meanwhile waits for no more than these."""
_INSERT_FILE = (
    "INSERT INTO library_files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
    "root = excluded.root, weights = excluded.weights, stamp = excluded.stamp, reading = excluded.reading, "
    "beside_stamp = excluded.beside_stamp, beside = excluded.beside, sha256 = excluded.sha256, autov3 = excluded.autov3"
)
_INSERT_RECORD = "INSERT OR REPLACE INTO library_records VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class FileRow:
    """JSON as text; see the migration."""

    path: str
    root: str
    weights: str
    stamp: str
    reading: str
    beside_stamp: str
    beside: str
    sha256: str | None
    autov3: str | None
    first_seen_at: float


@dataclass(frozen=True, slots=True)
class Record:
    """What people did with a file. `added_in` None is the operator's."""

    added_by: int | None = None
    added_in: int | None = None
    source: str | None = None
    added_at: float | None = None
    note: str | None = None
    preview: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    times: int
    last_used_at: float


@dataclass(frozen=True, slots=True)
class TrashRow:
    id: str
    path: str
    kept_in: str
    removed_at: float
    record: Record


class LibraryStore:
    def __init__(self, database: Database) -> None:
        self._db = database

    # --- what a scan read ---------------------------------------------------------------------------------------------

    async def files(self) -> list[FileRow]:
        return [FileRow(*row) for row in await self._db.all("SELECT * FROM library_files")]

    async def put_files(self, rows: Sequence[FileRow]) -> None:
        for at in range(0, len(rows), _CHUNK):
            values = [tuple(getattr(row, name) for name in FileRow.__slots__) for row in rows[at : at + _CHUNK]]
            async with self._db.write() as tx:
                await tx.executemany(_INSERT_FILE, values)

    async def put_hashes(self, path: str, stamp: str, sha256: str, autov3: str | None) -> None:
        """Of the file as it was at `stamp`; one that has changed meanwhile keeps none."""
        await self._db.write_one(
            "UPDATE library_files SET sha256 = ?, autov3 = ? WHERE path = ? AND stamp = ?",
            (sha256, autov3, path, stamp),
        )

    async def drop_files(self, paths: Iterable[str]) -> None:
        gone = [(path,) for path in paths]
        for at in range(0, len(gone), _CHUNK):
            async with self._db.write() as tx:
                await tx.executemany("DELETE FROM library_files WHERE path = ?", gone[at : at + _CHUNK])

    # --- what people did ----------------------------------------------------------------------------------------------

    async def records(self) -> dict[str, Record]:
        rows = await self._db.all("SELECT * FROM library_records")
        return {row[0]: Record(*tuple(row)[1:]) for row in rows}

    async def put_record(self, id_: str, record: Record) -> None:
        await self._db.write_one(_INSERT_RECORD, (id_, *_values(record)))

    async def drop_record(self, id_: str) -> None:
        await self._db.write_one("DELETE FROM library_records WHERE id = ?", (id_,))

    # --- usage --------------------------------------------------------------------------------------------------------

    async def usage(self) -> dict[tuple[ModelKind, str], Usage]:
        """Over all users."""
        rows = await self._db.all(
            "SELECT kind, name, SUM(times), MAX(last_used_at) FROM library_usage GROUP BY kind, name"
        )
        return {(cast("ModelKind", row[0]), row[1]): Usage(int(row[2]), float(row[3])) for row in rows}

    async def usage_of(self, user_id: int) -> dict[tuple[ModelKind, str], int]:
        rows = await self._db.all("SELECT kind, name, times FROM library_usage WHERE user_id = ?", (user_id,))
        return {(cast("ModelKind", row[0]), row[1]): int(row[2]) for row in rows}

    async def add_usage(self, used: Mapping[tuple[ModelKind, str, int], int], now: float) -> None:
        """(kind, name, user) → times."""
        async with self._db.write() as tx:
            await tx.executemany(
                "INSERT INTO library_usage VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, name, user_id) DO UPDATE SET "
                "times = times + excluded.times, last_used_at = max(last_used_at, excluded.last_used_at)",
                [(*key, times, now) for key, times in used.items()],
            )

    async def rename_usage(self, kind: ModelKind, old: str, new: str) -> None:
        """Adds to what the new name has already."""
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO library_usage SELECT kind, ?, user_id, times, last_used_at FROM library_usage "
                "WHERE kind = ? AND name = ? ON CONFLICT (kind, name, user_id) DO UPDATE SET "
                "times = library_usage.times + excluded.times, "
                "last_used_at = max(library_usage.last_used_at, excluded.last_used_at)",
                (new, kind, old),
            )
            await tx.execute("DELETE FROM library_usage WHERE kind = ? AND name = ?", (kind, old))

    # --- the trash ----------------------------------------------------------------------------------------------------

    async def trash(self) -> list[TrashRow]:
        """Oldest first."""
        rows = await self._db.all("SELECT * FROM library_trash ORDER BY removed_at, id")
        return [_trash_row(row) for row in rows]

    async def trashed(self, id_: str) -> TrashRow | None:
        row = await self._db.one("SELECT * FROM library_trash WHERE id = ?", (id_,))
        return _trash_row(row) if row else None

    async def put_trash(self, row: TrashRow) -> None:
        await self._db.write_one(
            "INSERT INTO library_trash VALUES (?, ?, ?, ?, ?)",
            (row.id, row.path, row.kept_in, row.removed_at, json.dumps(asdict(row.record))),
        )

    async def drop_trash(self, id_: str) -> None:
        await self._db.write_one("DELETE FROM library_trash WHERE id = ?", (id_,))


def _values(record: Record) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in Record.__slots__)


def _trash_row(row: Any) -> TrashRow:
    return TrashRow(row["id"], row["path"], row["kept_in"], row["removed_at"], Record(**json.loads(row["record"])))
