"""Who asked to be forgotten, and how far that is: a row each until it is done and they were told."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bot.domain.ids import UserId
from bot.domain.job import TokenGrant
from bot.storage.database import Database, Row

__all__ = ["ForgetWish", "ForgetWishes", "Holdings"]


@dataclass(frozen=True, slots=True)
class ForgetWish:
    user_id: UserId
    locale: str
    grant: TokenGrant | None
    pictures: int
    messages: int
    messages_left: int
    done: bool


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is there of a person."""

    pictures: int
    jobs: int
    waiting: int
    styles: int
    favourites: int


class ForgetWishes:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: UserId, locale: str, grant: TokenGrant) -> None:
        """A second wish only brings the newer token."""
        await self._db.write_one(
            "INSERT INTO forgettings (user_id, locale, token, token_expires_at, asked_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (user_id) DO UPDATE SET token = excluded.token, token_expires_at = excluded.token_expires_at",
            (user_id, locale, grant.token, grant.expires_at, time.time()),
        )

    async def all(self) -> list[ForgetWish]:
        return [_wish(row) for row in await self._db.all("SELECT * FROM forgettings ORDER BY asked_at")]

    async def counted(self, user_id: UserId, *, pictures: int, messages: int, messages_left: int) -> None:
        await self._db.write_one(
            "UPDATE forgettings SET pictures = pictures + ?, messages = messages + ?, "
            "messages_left = messages_left + ? WHERE user_id = ?",
            (pictures, messages, messages_left, user_id),
        )

    async def done(self, user_id: UserId) -> ForgetWish | None:
        rows = await self._db.write_one("UPDATE forgettings SET done = 1 WHERE user_id = ? RETURNING *", (user_id,))
        return _wish(rows[0]) if rows else None

    async def told(self, user_id: UserId) -> None:
        await self._db.write_one("DELETE FROM forgettings WHERE user_id = ?", (user_id,))

    async def holdings(self, user_id: UserId) -> Holdings:
        row = await self._db.one(
            "SELECT (SELECT count(*) FROM images JOIN jobs ON jobs.id = job_id WHERE user_id = ?1 "
            "AND images.deleted_at IS NULL) AS pictures, "
            "(SELECT count(*) FROM jobs WHERE user_id = ?1 AND script_id IS NULL) AS jobs, "
            "(SELECT count(*) FROM jobs WHERE user_id = ?1 AND script_id IS NULL "
            "AND status IN ('queued', 'assigned')) AS waiting, "
            "(SELECT count(*) FROM styles WHERE level = 'user' AND owner_id = ?1) AS styles, "
            "(SELECT count(*) FROM favourites WHERE user_id = ?1) AS favourites",
            (user_id,),
        )
        assert row is not None
        return Holdings(row["pictures"], row["jobs"], row["waiting"], row["styles"], row["favourites"])

    async def unsettled(self, user_id: UserId) -> int:
        """Jobs that are drawn or brought right now: their rows cannot go yet."""
        row = await self._db.one(
            "SELECT count(*) AS n FROM jobs WHERE user_id = ? AND stranded_at IS NULL "
            "AND status IN ('queued', 'assigned', 'done', 'delivering')",
            (user_id,),
        )
        return int(row["n"]) if row else 0


def _wish(row: Row) -> ForgetWish:
    return ForgetWish(
        UserId(row["user_id"]),
        row["locale"],
        TokenGrant(row["token"], row["token_expires_at"]) if row["token"] else None,
        row["pictures"],
        row["messages"],
        row["messages_left"],
        bool(row["done"]),
    )
