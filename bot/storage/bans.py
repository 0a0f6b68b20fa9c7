"""Who may not draw, where, why and until when."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bot.domain.model_rules import EVERYWHERE
from bot.storage.database import Database, Row

__all__ = ["Ban", "Bans"]


@dataclass(frozen=True, slots=True)
class Ban:
    guild_id: int
    """`EVERYWHERE` for the operator's."""
    user_id: int
    reason: str
    banned_by: int
    banned_at: float
    until: float | None
    """Unix seconds; None: for good."""


class Bans:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def ban(self, ban: Ban) -> None:
        """Over an earlier one of the same person in the same place."""
        await self._db.write_one(
            "INSERT OR REPLACE INTO bans (guild_id, user_id, reason, banned_by, banned_at, until) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (ban.guild_id, ban.user_id, ban.reason, ban.banned_by, ban.banned_at, ban.until),
        )

    async def unban(self, guild_id: int, user_id: int) -> bool:
        """Whether this call ended one."""
        rows = await self._db.write_one(
            "DELETE FROM bans WHERE guild_id = ? AND user_id = ? AND (until IS NULL OR until > ?) RETURNING user_id",
            (guild_id, user_id, time.time()),
        )
        return bool(rows)

    async def of(self, user_id: int, guild_id: int | None) -> Ban | None:
        """The one that holds there now; of two the one that holds longer."""
        rows = await self._db.all(
            "SELECT * FROM bans WHERE user_id = ? AND guild_id IN (?, ?) AND (until IS NULL OR until > ?) "
            "ORDER BY until IS NULL DESC, until DESC LIMIT 1",
            (user_id, EVERYWHERE, guild_id or EVERYWHERE, time.time()),
        )
        return _ban(rows[0]) if rows else None

    async def page(self, guild_id: int, number: int, size: int) -> tuple[list[Ban], int]:
        """Those that hold now, newest first, and how many."""
        rows = await self._db.all(
            "SELECT *, count(*) OVER () AS total FROM bans WHERE guild_id = ? AND (until IS NULL OR until > ?) "
            "ORDER BY banned_at DESC, user_id LIMIT ? OFFSET ?",
            (guild_id, time.time(), size, number * size),
        )
        return [_ban(row) for row in rows], rows[0]["total"] if rows else 0


def _ban(row: Row) -> Ban:
    return Ban(row["guild_id"], row["user_id"], row["reason"], row["banned_by"], row["banned_at"], row["until"])
