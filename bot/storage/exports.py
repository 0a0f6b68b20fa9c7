"""Exports of pictures as ZIP files: a row each, gone on with at every start, its files kept for a day."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.ids import ChannelId, GuildId, ImageId, UserId, new_image_id
from bot.domain.job import TokenGrant
from bot.storage.database import Database, Row

__all__ = ["KEPT_S", "Export", "Exports"]

KEPT_S = 24 * 3600.0
OPEN = ("waiting", "packing")


@dataclass(frozen=True, slots=True)
class Export:
    id: str
    user_id: UserId
    guild_id: GuildId | None
    channel_id: ChannelId
    locale: str
    grant: TokenGrant | None
    images: tuple[ImageId, ...]
    part_bytes: int
    state: str
    """waiting → packing → ready, or failed, or cancelled."""
    packed: int
    missing: int
    parts: int
    told: bool
    created_at: float
    finished_at: float | None

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def until(self) -> float:
        """When its files go."""
        return (self.finished_at or self.created_at) + KEPT_S


class Exports:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(
        self,
        *,
        user_id: UserId,
        guild_id: GuildId | None,
        channel_id: ChannelId,
        locale: str,
        grant: TokenGrant,
        images: Sequence[ImageId],
        part_bytes: int,
    ) -> Export | None:
        """None where the person has one that is not over."""
        id_ = str(new_image_id())
        rows = await self._db.write_one(
            "INSERT INTO exports (id, user_id, guild_id, channel_id, locale, token, token_expires_at, images, "
            "part_bytes, state, created_at) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ? WHERE NOT EXISTS "
            "(SELECT 1 FROM exports WHERE user_id = ? AND state IN ('waiting', 'packing')) RETURNING *",
            (
                id_, user_id, guild_id, channel_id, locale, grant.token, grant.expires_at, json.dumps(list(images)),
                part_bytes, time.time(), user_id,
            ),
        )  # fmt: skip
        return _export(rows[0]) if rows else None

    async def get(self, id_: str) -> Export | None:
        row = await self._db.one("SELECT * FROM exports WHERE id = ?", (id_,))
        return _export(row) if row else None

    async def next(self) -> Export | None:
        """The one to pack: what a crash interrupted goes first."""
        row = await self._db.one(
            "SELECT * FROM exports WHERE state IN ('waiting', 'packing') ORDER BY state, created_at LIMIT 1"
        )
        return _export(row) if row else None

    async def begin(self, id_: str) -> bool:
        """From its start, whatever was packed before; False where it was cancelled."""
        rows = await self._db.write_one(
            "UPDATE exports SET state = 'packing', packed = 0, missing = 0, parts = 0 "
            "WHERE id = ? AND state IN ('waiting', 'packing') RETURNING id",
            (id_,),
        )
        return bool(rows)

    async def progressed(self, id_: str, packed: int, missing: int, parts: int) -> bool:
        """False where it was cancelled meanwhile."""
        rows = await self._db.write_one(
            "UPDATE exports SET packed = ?, missing = ?, parts = ? WHERE id = ? AND state = 'packing' RETURNING id",
            (packed, missing, parts, id_),
        )
        return bool(rows)

    async def end(self, id_: str, state: str) -> Export | None:
        """None where it had ended already."""
        rows = await self._db.write_one(
            "UPDATE exports SET state = ?, finished_at = ? WHERE id = ? AND state IN ('waiting', 'packing') "
            "RETURNING *",
            (state, time.time(), id_),
        )
        return _export(rows[0]) if rows else None

    async def told(self, id_: str) -> None:
        await self._db.write_one("UPDATE exports SET told = 1 WHERE id = ?", (id_,))

    async def untold(self) -> list[Export]:
        rows = await self._db.all(
            "SELECT * FROM exports WHERE told = 0 AND state IN ('ready', 'failed', 'cancelled') ORDER BY created_at"
        )
        return [_export(row) for row in rows]

    async def drop_old(self) -> list[str]:
        """Forgets those whose time is over; returns their ids, whose files are to be removed."""
        rows = await self._db.write_one(
            "DELETE FROM exports WHERE state NOT IN ('waiting', 'packing') AND finished_at < ? RETURNING id",
            (time.time() - KEPT_S,),
        )
        return [str(row["id"]) for row in rows]

    async def of(self, user_id: UserId) -> list[str]:
        return [row["id"] for row in await self._db.all("SELECT id FROM exports WHERE user_id = ?", (user_id,))]

    async def all_ids(self) -> set[str]:
        return {row["id"] for row in await self._db.all("SELECT id FROM exports")}


def _export(row: Row) -> Export:
    return Export(
        id=row["id"],
        user_id=UserId(row["user_id"]),
        guild_id=GuildId(row["guild_id"]) if row["guild_id"] else None,
        channel_id=ChannelId(row["channel_id"]),
        locale=row["locale"],
        grant=TokenGrant(row["token"], row["token_expires_at"]) if row["token"] else None,
        images=tuple(ImageId(one) for one in json.loads(row["images"])),
        part_bytes=row["part_bytes"],
        state=row["state"],
        packed=row["packed"],
        missing=row["missing"],
        parts=row["parts"],
        told=bool(row["told"]),
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )
