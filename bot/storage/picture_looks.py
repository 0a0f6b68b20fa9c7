"""What a classifier said of each picture that was kept."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import aiosqlite

from bot.domain.ids import ImageId, JobId
from bot.storage.database import Database
from gpu_worker.protocol.safety import Looked

__all__ = ["PictureLook", "PictureLooks"]


@dataclass(frozen=True, slots=True)
class PictureLook:
    looked: Looked
    strict: bool
    """A minor was named, or somebody's own picture was edited: it was kept because it is not nude by that measure."""


class PictureLooks:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add_in(self, tx: aiosqlite.Connection, looks: Mapping[ImageId, PictureLook]) -> None:
        await tx.executemany(
            "INSERT OR REPLACE INTO picture_looks (image_id, looked, strict) VALUES (?, ?, ?)",
            [(image_id, look.looked.model_dump_json(), int(look.strict)) for image_id, look in looks.items()],
        )

    async def of_job(self, job_id: JobId) -> dict[ImageId, PictureLook]:
        return await self._found(
            "SELECT l.* FROM picture_looks l JOIN images i ON i.id = l.image_id WHERE i.job_id = ?", (job_id,)
        )

    async def of(self, image_ids: Collection[ImageId]) -> dict[ImageId, PictureLook]:
        """Those that were looked at."""
        return await self._found(
            "SELECT * FROM picture_looks WHERE image_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(image_ids)),),
        )

    async def _found(self, sql: str, values: tuple[str, ...]) -> dict[ImageId, PictureLook]:
        return {
            ImageId(row["image_id"]): PictureLook(Looked.model_validate_json(row["looked"]), bool(row["strict"]))
            for row in await self._db.all(sql, values)
        }
