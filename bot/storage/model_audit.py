"""Who did what to which model, for a server's admins and for the operator; and which pictures tested a model."""

from __future__ import annotations

import time
from dataclasses import dataclass

import aiosqlite

from bot.storage.database import Database, Row

__all__ = ["Entry", "ModelAudit", "ModelTest", "write_entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """`guild_id` is where it was said, `owner_id` whose file it was: a server, or 0 for the operator (or a direct
    message). `detail` is a name, an address' host or a place, in no language."""

    action: str
    guild_id: int
    owner_id: int
    user_id: int
    file_id: str | None = None
    kind: str = ""
    name: str = ""
    detail: str = ""
    undo_id: str | None = None
    at: float = 0.0
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class ModelTest:
    job_id: str
    file_id: str
    guild_id: int


class ModelAudit:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, entry: Entry) -> None:
        async with self._db.write() as tx:
            await write_entry(tx, entry)

    async def page(self, guild_id: int | None, number: int, size: int) -> tuple[list[Entry], int]:
        """The newest first, and how many there are; `guild_id` None gives every server's."""
        where, values = ("", ()) if guild_id is None else ("WHERE guild_id = ? OR (owner_id = ? AND owner_id != 0)",
                                                           (guild_id, guild_id))  # fmt: skip
        rows = await self._db.all(
            f"SELECT *, count(*) OVER () AS total FROM model_audit {where} ORDER BY id DESC LIMIT ? OFFSET ?",  # noqa: S608
            (*values, size, number * size),
        )
        return [_entry(row) for row in rows], rows[0]["total"] if rows else 0

    async def removal(self, undo_id: str) -> Entry | None:
        row = await self._db.one("SELECT * FROM model_audit WHERE undo_id = ?", (undo_id,))
        return _entry(row) if row else None

    async def taken_back(self, undo_id: str) -> bool:
        """Whether this call was the one that took the removal back."""
        rows = await self._db.write_one(
            "UPDATE model_audit SET undo_id = NULL WHERE undo_id = ? RETURNING id", (undo_id,)
        )
        return bool(rows)

    async def add_test(self, test: ModelTest) -> None:
        await self._db.write_one(
            "INSERT OR REPLACE INTO model_tests (job_id, file_id, guild_id) VALUES (?, ?, ?)",
            (test.job_id, test.file_id, test.guild_id),
        )

    async def test(self, job_id: str) -> ModelTest | None:
        row = await self._db.one("SELECT * FROM model_tests WHERE job_id = ?", (job_id,))
        return ModelTest(row["job_id"], row["file_id"], row["guild_id"]) if row else None


async def write_entry(tx: aiosqlite.Connection, entry: Entry) -> None:
    """Within somebody's transaction."""
    await tx.execute(
        "INSERT INTO model_audit (at, guild_id, owner_id, user_id, action, file_id, kind, name, detail, undo_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            time.time(), entry.guild_id, entry.owner_id, entry.user_id, entry.action, entry.file_id, entry.kind,
            entry.name, entry.detail, entry.undo_id,
        ),
    )  # fmt: skip


def _entry(row: Row) -> Entry:
    return Entry(
        row["action"], row["guild_id"], row["owner_id"], row["user_id"], row["file_id"], row["kind"], row["name"],
        row["detail"], row["undo_id"], row["at"],
    )  # fmt: skip
