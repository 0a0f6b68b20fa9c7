"""What somebody pointed at, kept for as long as Discord's addresses of it may work, and a little longer for the texts
that were read out of it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.domain.ids import ImageId, JobId, UserId, new_job_id
from bot.storage.database import Database

__all__ = ["Find", "Finds", "FoundPicture"]

log = logging.getLogger(__name__)

KEPT_S = 7 * 24 * 3600.0


class FoundPicture(BaseModel):
    """A picture of ours (`image_id`), or a file at Discord, whose address ends some time."""

    model_config = ConfigDict(frozen=True)

    image_id: ImageId | None = None
    url: str = ""
    filename: str = ""
    size: int = 0
    """Bytes, as Discord says; 0 where it does not."""
    infotext: str | None = None
    """How it was made, once that was read out of it; empty where it says nothing."""


class FoundPictures(BaseModel):
    model_config = ConfigDict(frozen=True)

    pictures: tuple[FoundPicture, ...]


@dataclass(frozen=True, slots=True)
class Find:
    id: JobId
    user_id: UserId
    pictures: tuple[FoundPicture, ...]


class Finds:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: UserId, pictures: tuple[FoundPicture, ...]) -> Find:
        """Those of more than a week go."""
        find = Find(new_job_id(), user_id, pictures)
        now = time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM finds WHERE created_at < ?", (now - KEPT_S,))
            await tx.execute(
                "INSERT INTO finds (id, user_id, content, created_at) VALUES (?, ?, ?, ?)",
                (find.id, user_id, FoundPictures(pictures=pictures).model_dump_json(), now),
            )
        return find

    async def change(self, find: Find, number: int, picture: FoundPicture) -> Find:
        """`number` counts from 0."""
        pictures = (*find.pictures[:number], picture, *find.pictures[number + 1 :])
        content = FoundPictures(pictures=pictures).model_dump_json()
        await self._db.write_one("UPDATE finds SET content = ? WHERE id = ?", (content, find.id))
        return Find(find.id, find.user_id, pictures)

    async def get(self, find_id: JobId) -> Find | None:
        """None, too, for one that is older than a week or that this version cannot read."""
        row = await self._db.one(
            "SELECT * FROM finds WHERE id = ? AND created_at >= ?", (find_id, time.time() - KEPT_S)
        )
        if row is None:
            return None
        try:
            found = FoundPictures.model_validate_json(row["content"])
        except ValidationError:
            log.exception("find %s cannot be read and is left out", find_id)
            return None
        return Find(JobId(row["id"]), UserId(row["user_id"]), found.pictures)
