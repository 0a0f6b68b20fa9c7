"""What is remembered of a user: the language they chose, or last used us in."""

from __future__ import annotations

from bot.domain.ids import UserId
from bot.storage.database import Database
from bot.storage.preferences import Preferences

__all__ = ["Users"]


class Users:
    def __init__(self, database: Database, preferences: Preferences) -> None:
        self._db = database
        self._preferences = preferences

    async def locale(self, user_id: UserId) -> str | None:
        if chosen := self._preferences.language(user_id):
            return chosen
        row = await self._db.one("SELECT locale FROM users WHERE id = ?", (user_id,))
        return row["locale"] if row else None
