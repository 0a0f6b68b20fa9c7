"""What trainings have left: whose saved epochs are there, how much room they take, which of them are due to go."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.ids import GuildId, JobId, UserId
from bot.storage.database import Database, Row

__all__ = ["SavedName", "TrainingResults"]

_NAMES = (
    "SELECT files.name, files.job_id, trainings.user_id, json_extract(jobs.spec, '$.checkpoint') AS checkpoint "
    "FROM training_files AS files JOIN trainings ON trainings.job_id = files.job_id "
    "JOIN jobs ON jobs.id = files.job_id "
)
# The newest file counts: a training that went on for weeks, or was continued, is no old one.
_AGES = (
    "SELECT trainings.job_id, max(files.arrived_at) AS at FROM trainings "
    "JOIN training_files AS files ON files.job_id = trainings.job_id JOIN jobs ON jobs.id = trainings.job_id "
    "WHERE jobs.status NOT IN ('queued', 'assigned') {only} GROUP BY trainings.job_id HAVING at < ? ORDER BY at LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class SavedName:
    """A saved epoch, as a prompt calls it."""

    name: str
    job_id: JobId
    user_id: UserId
    checkpoint: str
    """That it was trained on."""


class TrainingResults:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def names(self) -> list[SavedName]:
        """Of every saved epoch."""
        return [_saved(row) for row in await self._db.all(_NAMES, ())]

    async def names_of(self, job_id: JobId) -> list[SavedName]:
        return [_saved(row) for row in await self._db.all(_NAMES + "WHERE files.job_id = ?", (job_id,))]

    async def to_compare(self, since: float) -> list[JobId]:
        """That are done since then, have something to compare, and were to be compared by themselves."""
        rows = await self._db.all(
            "SELECT trainings.job_id FROM trainings JOIN jobs ON jobs.id = trainings.job_id "
            "WHERE jobs.status IN ('done', 'delivering', 'delivered') AND jobs.finished_at >= ? AND trainings.compare "
            "AND trainings.comparison_id IS NULL "
            "AND NOT EXISTS (SELECT 1 FROM jobs AS plots WHERE plots.parent_id = jobs.id AND plots.lane = 'script')",
            (since,),
        )
        return [JobId(row["job_id"]) for row in rows]

    async def bytes_of(self, user_id: UserId) -> int:
        row = await self._db.one(
            "SELECT coalesce(sum(files.size_bytes), 0) AS total FROM training_files AS files "
            "JOIN trainings ON trainings.job_id = files.job_id WHERE trainings.user_id = ?",
            (user_id,),
        )
        return int(row["total"]) if row else 0

    async def total_bytes(self) -> int:
        row = await self._db.one("SELECT coalesce(sum(size_bytes), 0) AS total FROM training_files", ())
        return int(row["total"]) if row else 0

    async def of_server(self, guild_id: GuildId | None, limit: int) -> list[JobId]:
        """Trainings that were begun there in the open, everywhere for None; the newest first."""
        rows = await self._db.all(
            "SELECT job_id FROM trainings JOIN jobs ON jobs.id = job_id AND jobs.private = 0 "
            "WHERE ?1 IS NULL OR trainings.guild_id = ?1 ORDER BY trainings.created_at DESC LIMIT ?2",
            (guild_id, limit),
        )
        return [JobId(row["job_id"]) for row in rows]

    async def not_looked_at(self) -> list[JobId]:
        """Plots of trainings' epochs that are drawn, of which nobody has noted what they show."""
        rows = await self._db.all(
            "SELECT plots.id FROM trainings JOIN jobs AS plots ON plots.parent_id = trainings.job_id "
            "WHERE plots.lane = 'script' AND plots.status IN ('done', 'delivering', 'delivered') "
            "AND (trainings.comparison_id IS NULL OR plots.created_at > "
            "(SELECT created_at FROM jobs WHERE id = trainings.comparison_id)) ORDER BY plots.created_at",
            (),
        )
        return [JobId(row["id"]) for row in rows]

    async def all_of(self, user_id: UserId) -> list[JobId]:
        rows = await self._db.all("SELECT job_id FROM trainings WHERE user_id = ?", (user_id,))
        return [JobId(row["job_id"]) for row in rows]

    # --- time ---------------------------------------------------------------------------------------------------------

    async def due(self, older_than_s: float, told_s: float, limit: int = 50) -> list[JobId]:
        """Whose files are all older, that are over, and whose people were told so long ago; oldest first."""
        now = time.time()
        sql = _AGES.format(only=f"AND trainings.end_told_at < {now - told_s}")
        return [JobId(row["job_id"]) for row in await self._db.all(sql, (now - older_than_s, limit))]

    async def to_announce(self, older_than_s: float, limit: int = 50) -> Sequence[JobId]:
        """Whose files are all older, that are over, and of whom nobody was told that their files will go."""
        rows = await self._db.all(
            _AGES.format(only="AND trainings.end_told_at IS NULL"), (time.time() - older_than_s, limit)
        )
        return [JobId(row["job_id"]) for row in rows]

    async def announced(self, job_id: JobId) -> None:
        await self._db.write_one("UPDATE trainings SET end_told_at = ? WHERE job_id = ?", (time.time(), job_id))


def _saved(row: Row) -> SavedName:
    return SavedName(row["name"], JobId(row["job_id"]), UserId(row["user_id"]), row["checkpoint"] or "")
