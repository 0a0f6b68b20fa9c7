"""What people look at in the browsers, and what they chose for their next picture."""

from __future__ import annotations

import logging
import time

from pydantic import ValidationError

from bot.domain.ids import new_image_id
from bot.domain.next_picture import NextPicture
from bot.domain.shelves import Shelf
from bot.storage.database import Database

__all__ = ["NextPictures", "Shelves"]

log = logging.getLogger(__name__)

KEPT_S = 7 * 24 * 3600.0
"""A browser is for its user's eyes alone, and Discord forgets such a message long before."""


class Shelves:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: int, shelf: Shelf) -> str:
        id_ = str(new_image_id())
        now = time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM model_shelves WHERE created_at < ?", (now - KEPT_S,))
            await tx.execute(
                "INSERT INTO model_shelves (id, user_id, state, created_at) VALUES (?, ?, ?, ?)",
                (id_, user_id, shelf.model_dump_json(), now),
            )
        return id_

    async def get(self, id_: str, user_id: int) -> Shelf | None:
        """None, too, for somebody else's, and for one that this version cannot read."""
        row = await self._db.one("SELECT state FROM model_shelves WHERE id = ? AND user_id = ?", (id_, user_id))
        try:
            return Shelf.model_validate_json(row["state"]) if row else None
        except ValidationError:
            log.warning("shelf %s cannot be read", id_)
            return None

    async def change(self, id_: str, shelf: Shelf) -> None:
        await self._db.write_one("UPDATE model_shelves SET state = ? WHERE id = ?", (shelf.model_dump_json(), id_))


class NextPictures:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, user_id: int) -> NextPicture:
        row = await self._db.one("SELECT chosen FROM next_pictures WHERE user_id = ?", (user_id,))
        try:
            return NextPicture.model_validate_json(row["chosen"]) if row else NextPicture()
        except ValidationError:
            log.warning("what user %s chose for the next picture cannot be read", user_id)
            return NextPicture()

    async def put(self, user_id: int, wish: NextPicture) -> None:
        if wish.empty:
            await self._db.write_one("DELETE FROM next_pictures WHERE user_id = ?", (user_id,))
            return
        await self._db.write_one(
            "INSERT INTO next_pictures (user_id, chosen, changed_at) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET chosen = excluded.chosen, changed_at = excluded.changed_at",
            (user_id, wish.model_dump_json(), time.time()),
        )

    async def use_up(self, user_id: int, used: NextPicture, left: NextPicture) -> None:
        """Only `left` stays, unless it was changed since `used` was read."""
        if used == await self.get(user_id):
            await self.put(user_id, left)
