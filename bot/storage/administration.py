"""What admins leave behind: a log of what they did, their live panels, how far their server is set up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.job import TokenGrant
from bot.storage.database import Database, Row

__all__ = ["AdminAudit", "AdminEntry", "AdminPanels", "LivePanel", "ServerSetup", "ServerSetups"]

PANELS_PER_PLACE = 3
"""Of one server's channels together: each is edited for as long as it stands."""


@dataclass(frozen=True, slots=True)
class AdminEntry:
    at: float
    guild_id: int
    user_id: int
    action: str
    detail: str


class AdminAudit:
    """`guild_id` 0 is a direct message or the machine itself."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, guild_id: int | None, user_id: int, action: str, detail: str = "") -> None:
        await self._db.write_one(
            "INSERT INTO admin_audit (at, guild_id, user_id, action, detail) VALUES (?, ?, ?, ?, ?)",
            (time.time(), guild_id or 0, user_id, action, detail[:500]),
        )

    async def last(self, guild_id: int | None, limit: int = 20) -> Sequence[AdminEntry]:
        """Newest first; None is of all servers."""
        where, values = ("", ()) if guild_id is None else ("WHERE guild_id = ?", (guild_id,))
        rows = await self._db.all(
            f"SELECT * FROM admin_audit {where} ORDER BY id DESC LIMIT ?",  # noqa: S608 - one of two texts of ours
            (*values, limit),
        )
        return [AdminEntry(r["at"], r["guild_id"], r["user_id"], r["action"], r["detail"]) for r in rows]


@dataclass(frozen=True, slots=True)
class LivePanel:
    id: str
    guild_id: int
    """What it shows: one server, or 0 for all."""
    user_id: int
    posted_in: int
    """0 in a direct message."""
    channel_id: int
    message_id: int | None
    locale: str
    grant: TokenGrant | None
    created_at: float


class AdminPanels:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, panel: LivePanel) -> list[LivePanel]:
        """Returns those that it replaces: the same view in the same channel, and the oldest of too many."""
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO admin_panels (id, guild_id, user_id, posted_in, channel_id, message_id, locale, token, "
                "token_expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    panel.id, panel.guild_id, panel.user_id, panel.posted_in, panel.channel_id, panel.message_id,
                    panel.locale, panel.grant.token if panel.grant else None,
                    panel.grant.expires_at if panel.grant else None, panel.created_at,
                ),
            )  # fmt: skip
            place = "channel_id" if panel.posted_in == 0 else "posted_in"
            rows = await tx.execute_fetchall(
                f"SELECT * FROM admin_panels WHERE {place} = ? AND id <> ? ORDER BY created_at DESC",  # noqa: S608
                (panel.channel_id if panel.posted_in == 0 else panel.posted_in, panel.id),
            )
            others = [_panel(row) for row in rows]
            same = [o for o in others if (o.channel_id, o.guild_id) == (panel.channel_id, panel.guild_id)]
            rest = [o for o in others if o not in same]
            gone = [*same, *rest[PANELS_PER_PLACE - 1 :]]
            await tx.executemany("DELETE FROM admin_panels WHERE id = ?", [(one.id,) for one in gone])
        return gone

    async def set_message(self, panel_id: str, message_id: int) -> None:
        await self._db.write_one("UPDATE admin_panels SET message_id = ? WHERE id = ?", (message_id, panel_id))

    async def remove(self, panel_id: str) -> None:
        await self._db.write_one("DELETE FROM admin_panels WHERE id = ?", (panel_id,))

    async def get(self, panel_id: str) -> LivePanel | None:
        row = await self._db.one("SELECT * FROM admin_panels WHERE id = ?", (panel_id,))
        return _panel(row) if row else None

    async def all(self) -> list[LivePanel]:
        return [_panel(row) for row in await self._db.all("SELECT * FROM admin_panels ORDER BY created_at")]


def _panel(row: Row) -> LivePanel:
    return LivePanel(
        row["id"], row["guild_id"], row["user_id"], row["posted_in"], row["channel_id"], row["message_id"],
        row["locale"], TokenGrant(row["token"], row["token_expires_at"]) if row["token"] else None, row["created_at"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerSetup:
    guild_id: int
    home_channel_id: int | None = None
    locale: str | None = None
    finished_at: float | None = None


class ServerSetups:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, guild_id: int) -> ServerSetup:
        row = await self._db.one("SELECT * FROM server_setups WHERE guild_id = ?", (guild_id,))
        if row is None:
            return ServerSetup(guild_id)
        return ServerSetup(guild_id, row["home_channel_id"], row["locale"], row["finished_at"])

    async def put(self, setup: ServerSetup, by: int) -> None:
        await self._db.write_one(
            "INSERT INTO server_setups (guild_id, home_channel_id, locale, user_id, changed_at, finished_at) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (guild_id) DO UPDATE SET "
            "home_channel_id = excluded.home_channel_id, locale = excluded.locale, user_id = excluded.user_id, "
            "changed_at = excluded.changed_at, finished_at = excluded.finished_at",
            (setup.guild_id, setup.home_channel_id, setup.locale, by, time.time(), setup.finished_at),
        )
