"""What people put together in the builder of /tags, so that its buttons work over a restart. Old ones are dropped."""

from __future__ import annotations

import logging
import time

from pydantic import ValidationError

from bot.domain.ids import new_image_id
from bot.domain.tag_boards import TagBoard
from bot.storage.database import Database

__all__ = ["TagBoards"]

log = logging.getLogger(__name__)

KEPT_S = 7 * 24 * 3600.0
"""A builder is for its user's eyes alone, and Discord forgets such a message long before."""


class TagBoards:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: int, board: TagBoard) -> str:
        id_ = str(new_image_id())
        now = time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM tag_boards WHERE created_at < ?", (now - KEPT_S,))
            await tx.execute(
                "INSERT INTO tag_boards (id, user_id, state, created_at) VALUES (?, ?, ?, ?)",
                (id_, user_id, board.model_dump_json(), now),
            )
        return id_

    async def get(self, id_: str, user_id: int) -> TagBoard | None:
        """None, too, for somebody else's, and for one that this version cannot read."""
        row = await self._db.one("SELECT state FROM tag_boards WHERE id = ? AND user_id = ?", (id_, user_id))
        try:
            return TagBoard.model_validate_json(row["state"]) if row else None
        except ValidationError:
            log.warning("the tag board %s cannot be read", id_)
            return None

    async def change(self, id_: str, board: TagBoard) -> None:
        await self._db.write_one("UPDATE tag_boards SET state = ? WHERE id = ?", (board.model_dump_json(), id_))
