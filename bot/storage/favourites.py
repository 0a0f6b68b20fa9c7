"""Pictures that people keep: each person's own list, whoever made the picture. Retention spares what anybody keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from bot.domain.ids import ImageId, UserId
from bot.storage.database import Database

__all__ = ["Favourites"]

Listener = Callable[[Sequence[ImageId]], None]


class Favourites:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """`listener` gets, after the commit, the pictures whose keepers changed. It must not block or raise."""
        self._listeners.append(listener)

    async def add(self, user_id: UserId, images: Collection[ImageId]) -> frozenset[ImageId]:
        """Returns those that were none before. Pictures that do not exist or are deleted are left out."""
        now = time.time()
        added: list[ImageId] = []
        async with self._db.write() as tx:
            await tx.execute("INSERT OR IGNORE INTO users (id, first_seen_at) VALUES (?, ?)", (user_id, now))
            for image_id in dict.fromkeys(images):
                cursor = await tx.execute(
                    "INSERT OR IGNORE INTO favourites (user_id, image_id, kept_at) "
                    "SELECT ?, id, ? FROM images WHERE id = ? AND deleted_at IS NULL",
                    (user_id, now, image_id),
                )
                if cursor.rowcount == 1:
                    added.append(image_id)
        return self._told(added)

    async def remove(self, user_id: UserId, images: Collection[ImageId]) -> frozenset[ImageId]:
        """Returns those that were one before."""
        marks = ", ".join("?" * len(images))
        rows = await self._db.write_one(
            f"DELETE FROM favourites WHERE user_id = ? AND image_id IN ({marks}) RETURNING image_id",  # noqa: S608
            (user_id, *images),
        )
        return self._told([ImageId(row["image_id"]) for row in rows])

    async def toggle(self, user_id: UserId, image_id: ImageId) -> bool:
        """Whether it is a favourite afterwards. Two presses at once give two changes, not one."""
        if await self.remove(user_id, [image_id]):
            return False
        await self.add(user_id, [image_id])
        return bool(await self.among(user_id, [image_id]))

    async def among(self, user_id: UserId, images: Collection[ImageId]) -> frozenset[ImageId]:
        """Which of these the person keeps."""
        marks = ", ".join("?" * len(images))
        rows = await self._db.all(
            f"SELECT image_id FROM favourites WHERE user_id = ? AND image_id IN ({marks})",  # noqa: S608
            (user_id, *images),
        )
        return frozenset(ImageId(row["image_id"]) for row in rows)

    async def keepers(self, image_id: ImageId) -> frozenset[UserId]:
        """Everybody who keeps it."""
        rows = await self._db.all("SELECT user_id FROM favourites WHERE image_id = ?", (image_id,))
        return frozenset(UserId(row["user_id"]) for row in rows)

    async def kept(self, images: Collection[ImageId]) -> frozenset[ImageId]:
        """Which of these anybody keeps."""
        marks = ", ".join("?" * len(images))
        rows = await self._db.all(
            f"SELECT DISTINCT image_id FROM favourites WHERE image_id IN ({marks})",  # noqa: S608
            tuple(images),
        )
        return frozenset(ImageId(row["image_id"]) for row in rows)

    async def count(self, user_id: UserId) -> int:
        row = await self._db.one("SELECT count(*) FROM favourites WHERE user_id = ?", (user_id,))
        return int(row[0]) if row else 0

    def _told(self, changed: Sequence[ImageId]) -> frozenset[ImageId]:
        if changed:
            for listener in self._listeners:
                listener(changed)
        return frozenset(changed)
