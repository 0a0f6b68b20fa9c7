"""How often each person used which tags lately."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bot.domain.tag_uses import LEAST_USES, USED_DAYS
from bot.storage.database import Database

__all__ = ["TagUses"]

KEPT_S = USED_DAYS * 24 * 3600.0
KEPT_MAX = 300
"""Tags of one person."""


class TagUses:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def count(self, user_id: int, tags: Sequence[str]) -> None:
        """One use more of each; what was not used for a month begins anew."""
        now = time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM tag_uses WHERE used_at < ?", (now - KEPT_S,))
            await tx.executemany(
                "INSERT INTO tag_uses (user_id, tag, uses, used_at) VALUES (?, ?, 1, ?) "
                "ON CONFLICT (user_id, tag) DO UPDATE SET uses = uses + 1, used_at = excluded.used_at",
                [(user_id, tag, now) for tag in tags],
            )
            await tx.execute(
                "DELETE FROM tag_uses WHERE user_id = ?1 AND tag NOT IN "
                "(SELECT tag FROM tag_uses WHERE user_id = ?1 ORDER BY uses DESC, used_at DESC LIMIT ?2)",
                (user_id, KEPT_MAX),
            )

    async def of(self, user_id: int) -> dict[str, int]:
        """Those that count as a habit, by name."""
        rows = await self._db.all(
            "SELECT tag, uses FROM tag_uses WHERE user_id = ? AND uses >= ? AND used_at >= ?",
            (user_id, LEAST_USES, time.time() - KEPT_S),
        )
        return {row["tag"]: row["uses"] for row in rows}
