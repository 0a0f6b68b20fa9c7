"""The messages that show downloads: where they are, and whether their channel was told of the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.ids import new_image_id
from bot.domain.job import TokenGrant
from bot.storage.database import Database, Row
from bot.storage.model_audit import Entry, write_entry

__all__ = ["DownloadCard", "DownloadCards"]

KEPT_S = 14 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class DownloadCard:
    """`guild_id` and `owner_id` are 0 in a direct message and for the operator's files; `held` files stay disabled
    until somebody enables them."""

    guild_id: int
    channel_id: int
    user_id: int
    owner_id: int
    locale: str
    held: bool = False
    grant: TokenGrant | None = None
    message_id: int | None = None
    id: str = ""
    downloads: tuple[str, ...] = ()
    told: bool = False


class DownloadCards:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, card: DownloadCard) -> str:
        id_ = str(new_image_id())
        grant = card.grant
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO download_cards (id, guild_id, channel_id, user_id, owner_id, message_id, locale, token, "
                "token_expires_at, held, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id_, card.guild_id, card.channel_id, card.user_id, card.owner_id, card.message_id, card.locale,
                    grant.token if grant else None, grant.expires_at if grant else None, int(card.held), time.time(),
                ),
            )  # fmt: skip
            await tx.executemany(
                "INSERT INTO download_card_items (card_id, download_id) VALUES (?, ?)",
                [(id_, download) for download in card.downloads],
            )
        return id_

    async def add_download(self, id_: str, download_id: str) -> None:
        await self._db.write_one(
            "INSERT OR IGNORE INTO download_card_items (card_id, download_id) VALUES (?, ?)", (id_, download_id)
        )

    async def set_message(self, id_: str, message_id: int) -> None:
        await self._db.write_one("UPDATE download_cards SET message_id = ? WHERE id = ?", (message_id, id_))

    async def get(self, id_: str) -> DownloadCard | None:
        row = await self._db.one("SELECT * FROM download_cards WHERE id = ?", (id_,))
        if row is None:
            return None
        items = await self._db.all(
            "SELECT download_id FROM download_card_items WHERE card_id = ? ORDER BY rowid", (id_,)
        )
        return _card(row, [str(item["download_id"]) for item in items])

    async def card_of(self, download_id: str) -> str | None:
        row = await self._db.one(
            "SELECT card_id FROM download_card_items WHERE download_id = ? ORDER BY rowid DESC LIMIT 1", (download_id,)
        )
        return str(row["card_id"]) if row else None

    async def untold(self) -> list[str]:
        """Ids of cards whose channel is still to be told; what is older than two weeks is no news."""
        rows = await self._db.all(
            "SELECT id FROM download_cards WHERE told_at IS NULL AND created_at > ?", (time.time() - KEPT_S,)
        )
        return [str(row["id"]) for row in rows]

    async def tell(self, id_: str) -> bool:
        """Whether this call was the first to say that it is told."""
        rows = await self._db.write_one(
            "UPDATE download_cards SET told_at = ?, token = NULL WHERE id = ? AND told_at IS NULL RETURNING id",
            (time.time(), id_),
        )
        return bool(rows)

    async def settle(self, download_id: str, entries: Sequence[Entry]) -> bool:
        """Whether this call was the first to record the end of that download: its entries are written then, too."""
        async with self._db.write() as tx:
            changed = await tx.execute(
                "UPDATE download_card_items SET settled = 1 WHERE download_id = ? AND settled = 0", (download_id,)
            )
            if not changed.rowcount:
                return False
            for entry in entries:
                await write_entry(tx, entry)
        return True


def _card(row: Row, downloads: Sequence[str]) -> DownloadCard:
    return DownloadCard(
        guild_id=row["guild_id"],
        channel_id=row["channel_id"],
        user_id=row["user_id"],
        owner_id=row["owner_id"],
        locale=row["locale"],
        held=bool(row["held"]),
        grant=TokenGrant(row["token"], row["token_expires_at"]) if row["token"] else None,
        message_id=row["message_id"],
        id=row["id"],
        downloads=tuple(downloads),
        told=row["told_at"] is not None,
    )
