"""Which drafts were offered as combinations, how many pictures were promised, and whether they are taken."""

from __future__ import annotations

import time

from bot.domain.ids import JobId
from bot.storage.database import Database

__all__ = ["CombinationWishes"]


class CombinationWishes:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def promise(self, draft_id: JobId, pictures: int, *, private: bool) -> None:
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT OR REPLACE INTO combination_wishes (draft_id, pictures, private) VALUES (?, ?, ?)",
                (draft_id, pictures, private),
            )

    async def is_private(self, draft_id: JobId) -> bool:
        """Whether what is drawn was asked for as its user's alone."""
        row = await self._db.one("SELECT private FROM combination_wishes WHERE draft_id = ?", (draft_id,))
        return row is not None and bool(row["private"])

    async def take(self, draft_id: JobId) -> int | None:
        """The pictures that were promised, for exactly one of all who ask; None for the others."""
        async with self._db.write() as tx:
            rows = await tx.execute_fetchall(
                "UPDATE combination_wishes SET taken_at = ? WHERE draft_id = ? AND taken_at IS NULL RETURNING pictures",
                (time.time(), draft_id),
            )
        return next((int(row["pictures"]) for row in rows), None)

    async def give_back(self, draft_id: JobId) -> None:
        """What was taken could not begin."""
        async with self._db.write() as tx:
            await tx.execute("UPDATE combination_wishes SET taken_at = NULL WHERE draft_id = ?", (draft_id,))
