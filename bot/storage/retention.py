"""Which pictures' files may go: by age, by the room they all take, by a server's own word. Favourites never do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.ids import GuildId, ImageId, UserId
from bot.storage.database import Database, Row

__all__ = ["OLDEST", "TOO_OLD", "TOO_OLD_THERE", "TOTAL", "Prunable", "Retention"]

DAY_S = 24 * 3600.0
_FREE = (
    "images.deleted_at IS NULL AND images.pruned_at IS NULL AND +jobs.status = 'delivered' "
    "AND jobs.stranded_at IS NULL AND NOT EXISTS (SELECT 1 FROM jobs AS later WHERE later.source_image_id = images.id "
    "AND later.status IN ('queued', 'assigned')) "
    "AND NOT EXISTS (SELECT 1 FROM jobs AS script WHERE script.id = jobs.script_id AND script.status = 'queued') "
    "AND NOT EXISTS (SELECT 1 FROM favourites WHERE favourites.image_id = images.id)"
)
# CROSS JOIN and the plus keep SQLite to the indices by age and by server: the pictures that are free are nearly all.
TOO_OLD = (
    "SELECT images.id, images.path, images.size_bytes FROM images CROSS JOIN jobs ON jobs.id = images.job_id "  # noqa: S608
    f"WHERE {_FREE} AND images.created_at < ?1 - {DAY_S} * ?2 ORDER BY images.created_at LIMIT ?3"
)
"""Now, the operator's days, how many at most (-1: all)."""
TOO_OLD_THERE = (
    "SELECT images.id, images.path, images.size_bytes FROM server_retention "  # noqa: S608
    "CROSS JOIN jobs ON jobs.guild_id = server_retention.guild_id CROSS JOIN images ON images.job_id = jobs.id "
    f"WHERE {_FREE} AND jobs.created_at < ?1 - {DAY_S} * server_retention.days "
    f"AND images.created_at < ?1 - {DAY_S} * server_retention.days ORDER BY images.created_at LIMIT ?2"
)
"""By the words of servers: now, how many at most (-1: all)."""
OLDEST = (
    "SELECT images.id, images.path, images.size_bytes FROM images CROSS JOIN jobs ON jobs.id = images.job_id "  # noqa: S608
    f"WHERE {_FREE} ORDER BY images.created_at LIMIT ?"
)
TOTAL = "SELECT coalesce(sum(size_bytes), 0) AS total FROM images WHERE deleted_at IS NULL AND pruned_at IS NULL"


@dataclass(frozen=True, slots=True)
class Prunable:
    id: ImageId
    path: str
    size_bytes: int


class Retention:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def days_of(self, guild_id: GuildId) -> int | None:
        row = await self._db.one("SELECT days FROM server_retention WHERE guild_id = ?", (guild_id,))
        return int(row["days"]) if row else None

    async def set_days(self, guild_id: GuildId, days: int | None, by: UserId) -> None:
        if days is None:
            await self._db.write_one("DELETE FROM server_retention WHERE guild_id = ?", (guild_id,))
            return
        await self._db.write_one(
            "INSERT INTO server_retention (guild_id, days, changed_by, changed_at) VALUES (?, ?, ?, ?) ON CONFLICT "
            "(guild_id) DO UPDATE SET days = excluded.days, changed_by = excluded.changed_by, "
            "changed_at = excluded.changed_at",
            (guild_id, days, by, time.time()),
        )

    async def too_old(self, days: int | None, limit: int) -> list[Prunable]:
        """Old ones whose time is over; `days` is the operator's word, which a server can only shorten."""
        now = time.time()
        rows = await self._db.all(TOO_OLD, (now, days, limit)) if days is not None else []
        rows = rows or await self._db.all(TOO_OLD_THERE, (now, limit))
        return [_prunable(row) for row in rows]

    async def oldest(self, limit: int) -> list[Prunable]:
        return [_prunable(row) for row in await self._db.all(OLDEST, (limit,))]

    async def total_bytes(self) -> int:
        """Of all pictures that have their files."""
        row = await self._db.one(TOTAL)
        return int(row["total"]) if row else 0

    async def pruned(self, images: Sequence[Prunable]) -> None:
        async with self._db.write() as tx:
            await tx.executemany(
                "UPDATE images SET pruned_at = ? WHERE id = ?", [(time.time(), image.id) for image in images]
            )


def _prunable(row: Row) -> Prunable:
    return Prunable(ImageId(row["id"]), row["path"], row["size_bytes"])
