"""What is remembered of a user: the language they last used us in."""

from __future__ import annotations

from bot.domain.ids import UserId
from bot.storage.database import Database

__all__ = ["Users"]


class Users:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def locale(self, user_id: UserId) -> str | None:
        row = await self._db.one("SELECT locale FROM users WHERE id = ?", (user_id,))
        return row["locale"] if row else None
