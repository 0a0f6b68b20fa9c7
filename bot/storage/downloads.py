"""Downloads of model files, over restarts."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

from bot.storage.database import Database, Row

__all__ = ["DownloadRow", "DownloadStore"]

KEPT_S = 30 * 24 * 3600.0
_UNFINISHED = "state IN ('waiting', 'resolving', 'downloading', 'checking')"


@dataclass(frozen=True, slots=True)
class DownloadRow:
    """JSON as text; see the migration."""

    id: str
    link: str
    wish: str
    state: str
    source: str | None = None
    filename: str | None = None
    received_bytes: int = 0
    total_bytes: int | None = None
    problem: str | None = None
    problem_values: str = "{}"
    file_ids: str = "[]"
    created_at: float = 0.0
    """Unix seconds."""


_NAMES = tuple(field.name for field in fields(DownloadRow))
_FIXED = frozenset({"id", "link", "wish", "created_at"})


class DownloadStore:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, row: DownloadRow) -> None:
        """Raises StorageFullError."""
        names = _NAMES
        marks = ", ".join("?" * (len(names) + 1))
        await self._db.write_one(
            f"INSERT INTO downloads ({', '.join(names)}, changed_at) VALUES ({marks})",  # noqa: S608
            (*(getattr(row, name) for name in names), time.time()),
        )

    async def save(self, row: DownloadRow) -> bool:
        """Whether this call changed it: what has ended stays as it ended. Raises StorageFullError."""
        names = [name for name in _NAMES if name not in _FIXED]
        sets = ", ".join(f"{name} = ?" for name in names)
        rows = await self._db.write_one(
            f"UPDATE downloads SET {sets}, changed_at = ? WHERE id = ? AND {_UNFINISHED} RETURNING id",  # noqa: S608
            (*(getattr(row, name) for name in names), time.time(), row.id),
        )
        return bool(rows)

    async def get(self, id_: str) -> DownloadRow | None:
        row = await self._db.one("SELECT * FROM downloads WHERE id = ?", (id_,))
        return _row(row) if row is not None else None

    async def unfinished(self) -> list[DownloadRow]:
        """Oldest first."""
        rows = await self._db.all(
            f"SELECT * FROM downloads WHERE {_UNFINISHED} ORDER BY created_at, rowid"  # noqa: S608
        )
        return [_row(row) for row in rows]

    async def forget_old(self) -> None:
        await self._db.write_one(
            f"DELETE FROM downloads WHERE NOT {_UNFINISHED} AND changed_at < ?",  # noqa: S608
            (time.time() - KEPT_S,),
        )


def _row(row: Row) -> DownloadRow:
    return DownloadRow(**{name: row[name] for name in _NAMES})
