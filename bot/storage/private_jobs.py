"""Jobs whose pictures only their own user may see, until they publish them: column `private` of the table of jobs.

0 is for everybody, 1 for its user alone, 2 while it is being published.
"""

from __future__ import annotations

from bot.domain.ids import ImageId, JobId, MessageId, UserId
from bot.storage.database import Database

__all__ = ["PrivateJobs"]


class PrivateJobs:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def comes_of_private(
        self, user_id: UserId, parent_id: JobId | None, image_id: ImageId | None, message_id: int | None
    ) -> bool:
        """Whether one of these is of a job that only this user may see."""
        found = await self._db.one(
            "SELECT 1 FROM jobs WHERE private > 0 AND user_id = ?1 AND (id = ?2 OR message_id = ?4 "
            "OR id = (SELECT job_id FROM images WHERE id = ?3)) LIMIT 1",
            (user_id, parent_id, image_id, message_id),
        )
        return found is not None

    async def start_publishing(self, job_id: JobId) -> bool:
        """True for one caller alone, until `published` or `stay_private`."""
        claimed = await self._db.write_one(
            "UPDATE jobs SET private = 2 WHERE id = ? AND private = 1 AND status = 'delivered' RETURNING id", (job_id,)
        )
        return bool(claimed)

    async def published(self, job_id: JobId, message_id: MessageId) -> None:
        """Its card is that message now, and everybody's."""
        async with self._db.write() as tx:
            await tx.execute(
                "UPDATE jobs SET private = 0, message_id = ?, token = NULL, token_expires_at = NULL WHERE id = ?",
                (message_id, job_id),
            )
            # Whoever sees a grid may see its cells.
            await tx.execute("UPDATE jobs SET private = 0 WHERE script_id = ?", (job_id,))

    async def stay_private(self, job_id: JobId | None = None) -> None:
        """It could not be published; without an id, whatever an earlier life of the bot did not finish."""
        await self._db.write_one("UPDATE jobs SET private = 1 WHERE private = 2 AND (id = ?1 OR ?1 IS NULL)", (job_id,))
