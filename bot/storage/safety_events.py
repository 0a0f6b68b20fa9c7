"""What moderation did, in order: for the audit channel, which may be unreachable for a while, and `/moderation log`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.storage.database import Database, Row

__all__ = ["SafetyEvent", "SafetyEvents"]

UNPOSTED_S = 24 * 3600.0
"""What could not be posted for so long stays in the table alone."""


@dataclass(frozen=True, slots=True)
class SafetyEvent:
    """`kind` names its sentence, `detail` the values in it; neither holds a refused text."""

    kind: str
    guild_id: int
    user_id: int
    done_by: int | None = None
    detail: Mapping[str, str] = field(default_factory=dict[str, str])
    appeal_id: str | None = None
    at: float = 0.0
    id: int = 0


class SafetyEvents:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, event: SafetyEvent) -> int:
        rows = await self._db.write_one(
            "INSERT INTO safety_events (at, guild_id, kind, user_id, done_by, detail, appeal_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                time.time(), event.guild_id, event.kind, event.user_id, event.done_by,
                json.dumps(dict(event.detail)), event.appeal_id,
            ),
        )  # fmt: skip
        return int(rows[0]["id"])

    async def posted(self, event_id: int) -> None:
        await self._db.write_one("UPDATE safety_events SET posted_at = ? WHERE id = ?", (time.time(), event_id))

    async def unposted(self, limit: int = 50) -> list[SafetyEvent]:
        rows = await self._db.all(
            "SELECT * FROM safety_events WHERE posted_at IS NULL AND at > ? ORDER BY id LIMIT ?",
            (time.time() - UNPOSTED_S, limit),
        )
        return [_event(row) for row in rows]

    async def page(self, guild_id: int, number: int, size: int) -> tuple[list[SafetyEvent], int]:
        rows = await self._db.all(
            "SELECT *, count(*) OVER () AS total FROM safety_events WHERE guild_id = ? "
            "ORDER BY id DESC LIMIT ? OFFSET ?",
            (guild_id, size, number * size),
        )
        return [_event(row) for row in rows], rows[0]["total"] if rows else 0


def _event(row: Row) -> SafetyEvent:
    return SafetyEvent(
        row["kind"], row["guild_id"], row["user_id"], row["done_by"], json.loads(row["detail"]), row["appeal_id"],
        row["at"], row["id"],
    )  # fmt: skip
