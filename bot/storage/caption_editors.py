"""Where people are in the tag editor, so that its buttons work over a restart. Old ones are dropped."""

from __future__ import annotations

import logging
import time

from pydantic import ValidationError

from bot.domain.captions.editor import CaptionEditor
from bot.domain.ids import new_image_id
from bot.storage.database import Database

__all__ = ["CaptionEditors"]

log = logging.getLogger(__name__)

KEPT_S = 7 * 24 * 3600.0
"""An editor is for its user's eyes alone, and Discord forgets such a message long before."""


class CaptionEditors:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: int, editor: CaptionEditor) -> str:
        id_ = str(new_image_id())
        now = time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM caption_editors WHERE created_at < ?", (now - KEPT_S,))
            await tx.execute(
                "INSERT INTO caption_editors (id, user_id, dataset_id, state, created_at) VALUES (?, ?, ?, ?, ?)",
                (id_, user_id, editor.dataset, editor.model_dump_json(), now),
            )
        return id_

    async def get(self, id_: str, user_id: int) -> CaptionEditor | None:
        """None, too, for somebody else's, and for one that this version cannot read."""
        row = await self._db.one("SELECT state FROM caption_editors WHERE id = ? AND user_id = ?", (id_, user_id))
        try:
            return CaptionEditor.model_validate_json(row["state"]) if row else None
        except ValidationError:
            log.warning("the tag editor %s cannot be read", id_)
            return None

    async def change(self, id_: str, editor: CaptionEditor) -> None:
        await self._db.write_one("UPDATE caption_editors SET state = ? WHERE id = ?", (editor.model_dump_json(), id_))
