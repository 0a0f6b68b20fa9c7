"""Where servers show what many people like, and what is shown there."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, MessageId, UserId
from bot.storage.database import Database, Row

__all__ = ["Board", "StarPost", "Starboards"]


@dataclass(frozen=True, slots=True)
class Board:
    guild_id: GuildId
    channel_id: ChannelId
    threshold: int
    """How many different people must like a picture."""


@dataclass(frozen=True, slots=True)
class StarPost:
    job_id: JobId
    guild_id: GuildId
    channel_id: ChannelId
    message_id: MessageId | None
    """None: being posted, or its bot died meanwhile."""


class Starboards:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, guild_id: GuildId) -> Board | None:
        row = await self._db.one("SELECT * FROM starboards WHERE guild_id = ?", (guild_id,))
        return Board(guild_id, ChannelId(row["channel_id"]), row["threshold"]) if row else None

    async def put(self, board: Board, by: UserId) -> None:
        await self._db.write_one(
            "INSERT INTO starboards (guild_id, channel_id, threshold, changed_by, changed_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (guild_id) DO UPDATE SET channel_id = excluded.channel_id, threshold = excluded.threshold, "
            "changed_by = excluded.changed_by, changed_at = excluded.changed_at",
            (board.guild_id, board.channel_id, board.threshold, by, time.time()),
        )

    async def remove(self, guild_id: GuildId) -> bool:
        """Whether there was one. What was posted stays."""
        return bool(
            await self._db.write_one("DELETE FROM starboards WHERE guild_id = ? RETURNING guild_id", (guild_id,))
        )

    async def jobs_of(self, images: Collection[ImageId]) -> list[JobId]:
        marks = ", ".join("?" * len(images))
        rows = await self._db.all(
            f"SELECT DISTINCT job_id FROM images WHERE id IN ({marks})",  # noqa: S608
            tuple(images),
        )
        return [JobId(row["job_id"]) for row in rows]

    async def fans(self, job_id: JobId) -> dict[ImageId, set[UserId]]:
        """Who keeps which picture of a card; deleted pictures are left out."""
        rows = await self._db.all(
            "SELECT favourites.image_id, favourites.user_id FROM favourites JOIN images ON images.id = image_id "
            "WHERE images.job_id = ? AND images.deleted_at IS NULL",
            (job_id,),
        )
        found: dict[ImageId, set[UserId]] = {}
        for row in rows:
            found.setdefault(ImageId(row["image_id"]), set()).add(UserId(row["user_id"]))
        return found

    async def claim(self, job_id: JobId, board: Board) -> bool:
        """True for the one caller that is to post it."""
        rows = await self._db.write_one(
            "INSERT OR IGNORE INTO star_posts (job_id, guild_id, channel_id, created_at) VALUES (?, ?, ?, ?) "
            "RETURNING job_id",
            (job_id, board.guild_id, board.channel_id, time.time()),
        )
        return bool(rows)

    async def posted(self, job_id: JobId, message_id: MessageId) -> None:
        await self._db.write_one("UPDATE star_posts SET message_id = ? WHERE job_id = ?", (message_id, job_id))

    async def drop(self, job_id: JobId) -> None:
        await self._db.write_one("DELETE FROM star_posts WHERE job_id = ?", (job_id,))

    async def post_of(self, job_id: JobId) -> StarPost | None:
        row = await self._db.one("SELECT * FROM star_posts WHERE job_id = ?", (job_id,))
        return _post(row) if row else None

    async def unposted(self) -> list[StarPost]:
        """What a bot that died was about to post."""
        return [_post(row) for row in await self._db.all("SELECT * FROM star_posts WHERE message_id IS NULL")]

    async def newest(self, limit: int) -> list[StarPost]:
        rows = await self._db.all(
            "SELECT * FROM star_posts WHERE message_id IS NOT NULL ORDER BY created_at DESC LIMIT ?", (limit,)
        )
        return [_post(row) for row in rows]

    async def orphans(self) -> list[StarPost]:
        """Posts of cards whose pictures are all deleted for good."""
        rows = await self._db.all(
            "SELECT * FROM star_posts WHERE NOT EXISTS "
            "(SELECT 1 FROM images WHERE images.job_id = star_posts.job_id AND (images.deleted_at IS NULL "
            "OR images.id IN (SELECT image_id FROM deletion_items)))"
        )
        return [_post(row) for row in rows]


def _post(row: Row) -> StarPost:
    return StarPost(
        JobId(row["job_id"]),
        GuildId(row["guild_id"]),
        ChannelId(row["channel_id"]),
        MessageId(row["message_id"]) if row["message_id"] is not None else None,
    )
