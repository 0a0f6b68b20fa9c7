"""What is asked of the job table. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.domain.ids import JobId, UserId
from bot.domain.job import TASK_MODEL, Job, JobStatus, JobTask, Lane
from bot.domain.queue_rules import Move
from bot.storage.database import Database
from bot.storage.job_rows import Claim, QueueRow, jobs_of

__all__ = ["JobReader", "marks"]


_LANES = {lane.value: lane for lane in Lane}
_STATUSES = {status.value: status for status in JobStatus}


class JobReader:
    """A job that this version cannot read is left out and hides no other."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, job_id: JobId) -> Job | None:
        """None, too, for one that this version cannot read."""
        row = await self._db.one("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return next(iter(jobs_of([row] if row else [])), None)

    async def by_message(self, message_id: int) -> Job | None:
        row = await self._db.one(
            "SELECT * FROM jobs WHERE message_id = ? ORDER BY created_at DESC LIMIT 1", (message_id,)
        )
        return next(iter(jobs_of([row] if row else [])), None)

    async def last_drawing_of(self, user_id: UserId) -> Job | None:
        """What this person asked for last, whatever became of it; tests of models are no pictures of anybody's."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE user_id = ? AND json_extract(spec, '$.kind') IN ('txt2img', 'img2img') "
            "AND action NOT IN ('test', 'sample') AND script_id IS NULL ORDER BY created_at DESC, rowid DESC LIMIT 1",
            (user_id,),
        )
        return next(iter(jobs_of(rows)), None)

    async def in_status(self, *statuses: JobStatus) -> list[Job]:
        rows = await self._db.all(
            f"SELECT * FROM jobs WHERE status IN ({marks(statuses)}) ORDER BY created_at, rowid",  # noqa: S608
            statuses,
        )
        return jobs_of(rows)

    async def assigned(self) -> list[Claim]:
        """What the table says is running, oldest first."""
        rows = await self._db.all(
            "SELECT id, attempt, worker, cancel_by FROM jobs WHERE status = 'assigned' ORDER BY created_at, rowid"
        )
        return [Claim(JobId(r["id"]), r["attempt"], r["worker"] or "", r["cancel_by"] is not None) for r in rows]

    async def untold(self) -> list[Job]:
        """Ended jobs whose user has not been told: failed, cancelled, or done and not delivered. Of a script only its
        own end is told."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE (status IN ('done', 'delivering') "
            "OR (status IN ('failed', 'cancelled') AND told_at IS NULL)) AND script_id IS NULL "
            "ORDER BY created_at, rowid"
        )
        return jobs_of(rows)

    async def queue(self) -> list[QueueRow]:
        """All waiting jobs that a worker may be given, oldest first. The work of a training is what is left of it."""
        rows = await self._db.all(
            "SELECT id, jobs.user_id, lane, model, status, jobs.created_at, skipped, worker, jobs.guild_id, moved, "
            "moved_at, script_id, held_at, work_units * (1.0 - coalesce(min(1.0, 1.0 * step / nullif(of_steps, 0)), "
            "0.0)) AS work_units FROM jobs LEFT JOIN trainings ON lane = 'training' AND job_id = id "
            "WHERE status IN ('queued', 'assigned') AND lane != 'script' ORDER BY jobs.created_at, jobs.rowid"
        )
        # Ten thousand of them are read often: by place, and without asking the enums.
        return [
            QueueRow(
                job_id, user_id, _LANES[lane], model, work_units, _STATUSES[status], created_at, skipped, worker,
                guild_id, Move(moved) if moved else None, moved_at, script_id or None, held_at is not None,
            )
            for (
                job_id, user_id, lane, model, status, created_at, skipped, worker, guild_id, moved, moved_at, script_id,
                held_at, work_units,
            ) in rows
        ]  # fmt: skip

    async def private_among(self, job_ids: Sequence[JobId]) -> set[JobId]:
        """Those that only their own user may see."""
        rows = await self._db.all(
            f"SELECT id FROM jobs WHERE private = 1 AND id IN ({marks(job_ids)})",  # noqa: S608 - marks alone
            job_ids,
        )
        return {JobId(row["id"]) for row in rows}

    async def waits_alike(self, user_id: UserId, task: JobTask) -> bool:
        """Whether they have asked for exactly this already and still wait for it."""
        found = await self._db.one(
            "SELECT 1 FROM jobs WHERE user_id = ? AND status IN ('queued', 'assigned') AND spec = ? LIMIT 1",
            (user_id, task.model_dump_json()),
        )
        return found is not None

    async def waiting_of(self, user_id: UserId) -> list[Job]:
        """Scripts as a whole, and not their sheets."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE user_id = ? AND status IN ('queued', 'assigned') AND script_id IS NULL "
            "ORDER BY created_at, rowid",
            (user_id,),
        )
        return jobs_of(rows)

    async def waiting_in(self, guild_id: int) -> list[Job]:
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE guild_id = ? AND status IN ('queued', 'assigned') AND script_id IS NULL "
            "ORDER BY created_at, rowid",
            (guild_id,),
        )
        return jobs_of(rows)

    async def cells_without_card(self, script_id: JobId) -> list[Job]:
        """Its cells that nobody asked to see alone."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE script_id = ? AND place IS NOT NULL AND message_id IS NULL", (script_id,)
        )
        return jobs_of(rows)

    async def waiting_files(self) -> list[Job]:
        """Those that make model files."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE status IN ('queued', 'assigned') AND substr(model, 1, ?) = ? ORDER BY rowid",
            (len(TASK_MODEL), TASK_MODEL),
        )
        return [job for job in jobs_of(rows) if job.files is not None]

    async def count_waiting_of(self, user_id: UserId) -> int:
        """Of what has a place among their own: no trainings, and nothing that a training asks for by itself."""
        row = await self._db.one(
            "SELECT count(*) FROM jobs WHERE user_id = ? AND status IN ('queued', 'assigned') AND script_id IS NULL "
            "AND action NOT IN ('train', 'sample')",
            (user_id,),
        )
        return int(row[0]) if row else 0

    async def recent_use(self, since: float) -> dict[tuple[Lane, UserId], float]:
        """GPU seconds per lane and user since a time: where the fair order starts from after a restart."""
        rows = await self._db.all(
            "SELECT lane, user_id, sum(coalesce(run_s, 0)) AS used FROM jobs WHERE finished_at > ? "
            "GROUP BY lane, user_id",
            (since,),
        )
        return {(Lane(r["lane"]), UserId(r["user_id"])): float(r["used"]) for r in rows}


def marks(values: Collection[object]) -> str:
    """Places for so many values in a statement."""
    return ", ".join("?" * len(values))
