"""Pictures that are deleted and can be brought back for a while: hidden at once, their files gone when it is over."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from bot.domain.ids import ImageId, JobId, UserId, new_image_id
from bot.storage.database import Database

__all__ = ["UNDO_S", "Deletion", "Deletions"]

UNDO_S = 15 * 60.0


@dataclass(frozen=True, slots=True)
class Deletion:
    id: str
    images: tuple[ImageId, ...]
    due_at: float
    """Unix seconds; from then on nothing comes back."""


class Deletions:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def begin(self, user_id: UserId, images: Collection[ImageId], undo_s: float = UNDO_S) -> Deletion:
        """Hides those that are not deleted yet; who may do that is the caller's to know."""
        id_, now = str(new_image_id()), time.time()
        taken: list[ImageId] = []
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO deletions (id, user_id, created_at, due_at) VALUES (?, ?, ?, ?)",
                (id_, user_id, now, now + undo_s),
            )
            for image_id in dict.fromkeys(images):
                cursor = await tx.execute(
                    "UPDATE images SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", (now, image_id)
                )
                if cursor.rowcount == 1:
                    taken.append(image_id)
            await tx.executemany(
                "INSERT INTO deletion_items (deletion_id, image_id) VALUES (?, ?)", [(id_, one) for one in taken]
            )
        return Deletion(id_, tuple(taken), now + undo_s)

    async def undo(self, id_: str, user_id: UserId) -> list[ImageId] | None:
        """What is back; None where it is too late, or somebody else's."""
        async with self._db.write() as tx:
            found = await tx.execute_fetchall(
                "SELECT 1 FROM deletions WHERE id = ? AND user_id = ? AND due_at > ?", (id_, user_id, time.time())
            )
            if not list(found):
                return None
            rows = await tx.execute_fetchall(
                "UPDATE images SET deleted_at = NULL WHERE id IN "
                "(SELECT image_id FROM deletion_items WHERE deletion_id = ?) RETURNING id",
                (id_,),
            )
            await tx.execute("DELETE FROM deletion_items WHERE deletion_id = ?", (id_,))
            await tx.execute("DELETE FROM deletions WHERE id = ?", (id_,))
        return [ImageId(row["id"]) for row in rows]

    async def due(self) -> list[Deletion]:
        """Those whose time is over; they can no more be undone."""
        rows = await self._db.all(
            "SELECT id, due_at FROM deletions WHERE due_at <= ? ORDER BY due_at LIMIT 100", (time.time(),)
        )
        found: list[Deletion] = []
        for row in rows:
            items = await self._db.all("SELECT image_id FROM deletion_items WHERE deletion_id = ?", (row["id"],))
            found.append(Deletion(row["id"], tuple(ImageId(item["image_id"]) for item in items), row["due_at"]))
        return found

    async def next_due_at(self) -> float | None:
        row = await self._db.one("SELECT min(due_at) AS at FROM deletions")
        return row["at"] if row else None

    async def finished(self, id_: str) -> None:
        """Its files are gone."""
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM deletion_items WHERE deletion_id = ?", (id_,))
            await tx.execute("DELETE FROM deletions WHERE id = ?", (id_,))

    async def jobs_of(self, images: Collection[ImageId]) -> list[tuple[JobId, bool]]:
        """The jobs that drew these, each with whether all it drew is deleted for good."""
        marks = ", ".join("?" * len(images))
        rows = await self._db.all(
            "SELECT job_id, min(deleted_at IS NOT NULL AND id NOT IN (SELECT image_id FROM deletion_items "  # noqa: S608
            "JOIN deletions ON deletions.id = deletion_id WHERE due_at > ?)) AS gone FROM images WHERE job_id IN "
            f"(SELECT job_id FROM images WHERE id IN ({marks})) GROUP BY job_id",
            (time.time(), *images),
        )
        return [(JobId(row["job_id"]), bool(row["gone"])) for row in rows]
