"""Refusals that may be appealed, once each; what moderators decided holds for that very text of that member."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from bot.domain.ids import new_image_id
from bot.storage.database import Database, Row

__all__ = ["KEPT_S", "PASS_S", "Appeal", "Appeals", "digest_of"]

KEPT_S = 30 * 24 * 3600.0
"""A refused text is kept no longer than that."""
UNASKED_S = 24 * 3600.0
"""And one that nobody appealed not longer than a day."""
PASS_S = 7 * 24 * 3600.0
"""How long an approval lets that text through."""


@dataclass(frozen=True, slots=True)
class Appeal:
    id: str
    guild_id: int
    channel_id: int | None
    user_id: int
    locale: str
    about: str
    """`adult`, `words` or `ban`."""
    text: str
    at: float
    asked_at: float | None = None
    decided_by: int | None = None
    approved: bool | None = None


def digest_of(text: str) -> str:
    """Of a text as it is read, so that another space is no other text."""
    return hashlib.sha256(" ".join(text.split()).casefold().encode()).hexdigest()


class Appeals:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def refused(
        self, *, guild_id: int, channel_id: int | None, user_id: int, locale: str, about: str, text: str
    ) -> Appeal:
        appeal = Appeal(str(new_image_id()), guild_id, channel_id, user_id, locale, about, text, time.time())
        await self._db.write_one(
            "INSERT INTO appeals (id, at, guild_id, channel_id, user_id, locale, about, text, digest) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (appeal.id, appeal.at, guild_id, channel_id, user_id, locale, about, text, digest_of(text)),
        )
        return appeal

    async def sweep(self) -> None:
        """Refused texts go: after a day those that nobody appealed, after a month the rest."""
        now = time.time()
        await self._db.write_one(
            "DELETE FROM appeals WHERE at < ? OR (asked_at IS NULL AND at < ?)", (now - KEPT_S, now - UNASKED_S)
        )

    async def of_ban(
        self, guild_id: int, user_id: int, text: str, channel_id: int | None, locale: str
    ) -> Appeal | None:
        """The one appeal that there is against a ban, which `text` names; None where it was asked already."""
        row = await self._db.one(
            "SELECT * FROM appeals WHERE user_id = ? AND guild_id = ? AND about = 'ban' AND digest = ? LIMIT 1",
            (user_id, guild_id, digest_of(text)),
        )
        if row is None:
            return await self.refused(
                guild_id=guild_id, channel_id=channel_id, user_id=user_id, locale=locale, about="ban", text=text
            )
        return _appeal(row) if row["asked_at"] is None else None

    async def get(self, appeal_id: str) -> Appeal | None:
        row = await self._db.one("SELECT * FROM appeals WHERE id = ?", (appeal_id,))
        return _appeal(row) if row else None

    async def ask(self, appeal_id: str, user_id: int) -> bool:
        """Whether this press was the one that asked: there is one appeal per refusal, however often it is pressed."""
        rows = await self._db.write_one(
            "UPDATE appeals SET asked_at = ? WHERE id = ? AND user_id = ? AND asked_at IS NULL RETURNING id",
            (time.time(), appeal_id, user_id),
        )
        return bool(rows)

    async def unask(self, appeal_id: str) -> None:
        """It could not be brought to anybody, so it may be pressed again."""
        await self._db.write_one("UPDATE appeals SET asked_at = NULL WHERE id = ? AND decided_at IS NULL", (appeal_id,))

    async def decide(self, appeal_id: str, by: int, *, approved: bool) -> bool:
        """Whether this press was the one that decided; two moderators may press at once."""
        rows = await self._db.write_one(
            "UPDATE appeals SET decided_at = ?, decided_by = ?, approved = ? "
            "WHERE id = ? AND asked_at IS NOT NULL AND decided_at IS NULL RETURNING id",
            (time.time(), by, int(approved), appeal_id),
        )
        return bool(rows)

    async def passed(self, user_id: int, guild_id: int, about: str, text: str) -> bool:
        """Whether moderators of that server let this text of this member through."""
        row = await self._db.one(
            "SELECT 1 FROM appeals WHERE user_id = ? AND digest = ? AND approved = 1 AND guild_id = ? AND about = ? "
            "AND decided_at > ? LIMIT 1",
            (user_id, digest_of(text), guild_id, about, time.time() - PASS_S),
        )
        return row is not None


def _appeal(row: Row) -> Appeal:
    return Appeal(
        row["id"], row["guild_id"], row["channel_id"], row["user_id"], row["locale"], row["about"], row["text"],
        row["at"], row["asked_at"], row["decided_by"], None if row["approved"] is None else bool(row["approved"]),
    )  # fmt: skip
