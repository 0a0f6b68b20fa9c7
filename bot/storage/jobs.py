"""The durable job table. Status changes go through `transition`, which says whether this very call acted."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite
from pydantic import TypeAdapter, ValidationError

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, MessageId, UserId
from bot.domain.job import (
    TASK_MODEL,
    Action,
    Job,
    JobStatus,
    JobTask,
    Lane,
    MadeModel,
    NewJob,
    TokenGrant,
    model_of,
    work_units,
)  # fmt: skip
from bot.domain.queue_rules import Move
from bot.storage.database import Database, Row
from gpu_worker.protocol.results import Description
from gpu_worker.protocol.specs import Describe

__all__ = ["WAITING", "Claim", "Jobs", "QueueRow"]

log = logging.getLogger(__name__)

WAITING = (JobStatus.QUEUED, JobStatus.ASSIGNED)
_SPEC: TypeAdapter[JobTask] = TypeAdapter(JobTask)


@dataclass(frozen=True, slots=True)
class QueueRow:
    """The few columns that policy needs of a waiting job."""

    id: JobId
    user_id: UserId
    lane: Lane
    model: str
    work_units: float
    status: JobStatus
    created_at: float
    skipped: int
    worker: str | None
    guild_id: int | None = None
    moved: Move | None = None
    moved_at: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt that the table says is running somewhere."""

    job_id: JobId
    attempt: int
    worker: str
    cancel_asked: bool


class Jobs:
    def __init__(self, database: Database) -> None:
        self._db = database

    # --- coming in ----------------------------------------------------------------------------------------------------

    async def add(self, new: NewJob) -> tuple[JobId, bool]:
        """Commits the job as queued. Returns its id and True; for a repeated interaction the first one's and False."""
        now = time.time()
        insert = (
            "INSERT INTO jobs (id, interaction_id, parent_id, action, source_image_id, lane, user_id, guild_id, "
            "channel_id, locale, reply_to_id, token, token_expires_at, spec, model, work_units, status, "
            "created_at, private) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (interaction_id) DO NOTHING RETURNING id"
        )
        values = (
            new.id, new.interaction_id, new.parent_id, new.action, new.source_image_id, new.lane, new.user_id,
            new.guild_id, new.channel_id, new.locale, new.reply_to_id,
            new.grant.token if new.grant else None, new.grant.expires_at if new.grant else None,
            new.task.model_dump_json(), model_of(new.task), work_units(new.task), JobStatus.QUEUED, now,
            int(new.private),
        )  # fmt: skip
        if await self._db.one("SELECT 1 FROM users WHERE id = ? AND locale = ?", (new.user_id, new.locale)):
            added = await self._db.write_one(insert, values)
        else:
            async with self._db.write() as tx:
                await tx.execute(
                    "INSERT INTO users (id, locale, first_seen_at) VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET locale = excluded.locale",
                    (new.user_id, new.locale, now),
                )
                added = list(await tx.execute_fetchall(insert, values))
        if added:
            return new.id, True
        earlier = await self._db.one("SELECT id FROM jobs WHERE interaction_id = ?", (new.interaction_id,))
        # None only where its person asked to be forgotten in this very moment.
        return JobId(earlier["id"]) if earlier is not None else new.id, False

    async def set_message(self, job_id: JobId, message_id: MessageId) -> None:
        await self._db.write_one("UPDATE jobs SET message_id = ? WHERE id = ?", (message_id, job_id))

    async def set_deleted(self, job_id: JobId) -> None:
        """Its card is gone, so nothing can be asked of it any more but by what was made from it."""
        await self._db.write_one("UPDATE jobs SET deleted_at = ? WHERE id = ?", (time.time(), job_id))

    async def set_stranded(self, job_id: JobId, *, stranded: bool) -> None:
        """Whether its result waits in the history because every way to its user is closed."""
        await self._db.write_one(
            "UPDATE jobs SET stranded_at = ? WHERE id = ?", (time.time() if stranded else None, job_id)
        )

    async def set_grant(self, job_id: JobId, grant: TokenGrant | None) -> None:
        await self._db.write_one(
            "UPDATE jobs SET token = ?, token_expires_at = ? WHERE id = ?",
            (grant.token if grant else None, grant.expires_at if grant else None, job_id),
        )

    # --- changing state -----------------------------------------------------------------------------------------------

    async def transition(
        self, job_id: JobId, wanted: Collection[JobStatus], to: JobStatus, *, attempt: int | None = None, **columns: Any
    ) -> bool:
        """The one guarded status change. True only where this call made it.

        `wanted` are the states it may come from; `attempt`, where given, must be the row's own (fencing).
        """
        async with self._db.write() as tx:
            return await self.transition_in(tx, job_id, wanted, to, attempt=attempt, **columns)

    async def transition_in(
        self,
        tx: aiosqlite.Connection,
        job_id: JobId,
        wanted: Collection[JobStatus],
        to: JobStatus,
        *,
        attempt: int | None = None,
        **columns: Any,
    ) -> bool:
        """`transition` inside a caller's transaction."""
        sets = "".join(f", {name} = ?" for name in columns)
        sql = f"UPDATE jobs SET status = ?{sets} WHERE id = ? AND status IN ({_marks(wanted)})"  # noqa: S608
        values: list[Any] = [to, *columns.values(), job_id, *wanted]
        if attempt is not None:
            sql += " AND attempt = ?"
            values.append(attempt)
        cursor = await tx.execute(sql, values)
        return cursor.rowcount == 1

    async def claim(self, job_id: JobId, worker: str, boot: str) -> Job | None:
        """Queued → assigned with the next attempt number, or None where somebody was faster (a cancel)."""
        now = time.time()
        async with self._db.write() as tx:
            cursor = await tx.execute(
                "UPDATE jobs SET status = 'assigned', attempt = attempt + 1, worker = ?, assigned_at = ? "
                "WHERE id = ? AND status = 'queued' RETURNING *",
                (worker, now, job_id),
            )
            row = await cursor.fetchone()
            await cursor.close()
            if row is None:
                return None
            job = _job(row)
            await tx.execute(
                "INSERT INTO attempts (job_id, attempt, worker, boot, started_at) VALUES (?, ?, ?, ?, ?)",
                (job.id, job.attempt, worker, boot, now),
            )
            return job

    async def lose(
        self,
        job_id: JobId,
        attempt: int,
        *,
        blamed: bool,
        outcome: str,
        max_crashes: int,
        failure: Mapping[str, Any],
    ) -> JobStatus | None:
        """A running attempt has ended without a result; one transaction decides what becomes of its job.

        Cancelled, where somebody asked for that; failed, with the columns of `failure`, where this was the
        `max_crashes`-th blamed start; else queued again. Returns that status, or None where this attempt was not the
        running one and nothing changed.
        """
        async with self._db.write() as tx:
            async with tx.execute(
                "SELECT crashes, cancel_by FROM jobs WHERE id = ? AND attempt = ? AND status = 'assigned'",
                (job_id, attempt),
            ) as cursor:
                row = await cursor.fetchone()
            if row is None:
                return None
            crashes = int(row["crashes"]) + blamed
            columns: dict[str, Any] = {"crashes": crashes, "worker": None}
            if row["cancel_by"] is not None:
                status = JobStatus.CANCELLED
                columns["finished_at"] = time.time()
            elif blamed and crashes >= max_crashes:
                status = JobStatus.FAILED
                columns |= {**failure, "finished_at": time.time()}
            else:
                status = JobStatus.QUEUED
            await self.transition_in(tx, job_id, (JobStatus.ASSIGNED,), status, attempt=attempt, **columns)
            await self.end_attempt(tx, job_id, attempt, outcome)
            return status

    async def readopt(self, job_id: JobId, attempt: int, worker: str) -> Job | None:
        """Queued → assigned without a new attempt: a worker given up as silent is back and still draws this one.

        None where the job has gone another way meanwhile, or where that attempt ended for another reason than silence.
        """
        async with self._db.write() as tx:
            async with tx.execute(
                "UPDATE attempts SET ended_at = NULL, outcome = NULL WHERE job_id = ? AND attempt = ? AND worker = ? "
                "AND outcome = 'silent' AND EXISTS "
                "(SELECT 1 FROM jobs j WHERE j.id = job_id AND j.attempt = attempts.attempt AND j.status = 'queued')",
                (job_id, attempt, worker),
            ) as cursor:
                if cursor.rowcount != 1:
                    return None
            # Silence was taken for a death of its worker, and it was none.
            async with tx.execute(
                "UPDATE jobs SET status = 'assigned', worker = ?, crashes = max(0, crashes - 1) WHERE id = ? "
                "AND status = 'queued' RETURNING *",
                (worker, job_id),
            ) as cursor:
                row = await cursor.fetchone()
            return _job(row) if row else None

    async def end_attempt(self, tx: aiosqlite.Connection, job_id: JobId, attempt: int, outcome: str) -> None:
        await tx.execute(
            "UPDATE attempts SET ended_at = ?, outcome = ? WHERE job_id = ? AND attempt = ? AND outcome IS NULL",
            (time.time(), outcome, job_id, attempt),
        )

    async def end_open_attempts(self, tx: aiosqlite.Connection, job_id: JobId) -> None:
        """Attempts still open when another one's result has won."""
        await tx.execute(
            "UPDATE attempts SET ended_at = ?, outcome = 'withdrawn' WHERE job_id = ? AND outcome IS NULL",
            (time.time(), job_id),
        )

    async def note_skipped(self, job_ids: Iterable[JobId]) -> None:
        async with self._db.write() as tx:
            await tx.executemany("UPDATE jobs SET skipped = skipped + 1 WHERE id = ?", [(j,) for j in job_ids])

    async def ask_cancel(self, job_id: JobId, by: UserId) -> JobStatus | None:
        """Cancels at once what still waits; notes the wish for what runs.

        Returns the status after the call, or None where there is no such job.
        """
        async with self._db.write() as tx:
            if await self.transition_in(
                tx, job_id, (JobStatus.QUEUED,), JobStatus.CANCELLED, cancel_by=by, finished_at=time.time()
            ):
                return JobStatus.CANCELLED
            await tx.execute(
                "UPDATE jobs SET cancel_by = ? WHERE id = ? AND status = 'assigned' AND cancel_by IS NULL", (by, job_id)
            )
            status = await _value(tx, "SELECT status FROM jobs WHERE id = ?", (job_id,))
            return JobStatus(status) if status is not None else None

    async def move(self, job_id: JobId, move: Move) -> bool:
        """False where it waits no longer."""
        moved = await self._db.write_one(
            "UPDATE jobs SET moved = ?, moved_at = ? WHERE id = ? AND status = 'queued' RETURNING id",
            (move, time.time(), job_id),
        )
        return bool(moved)

    async def told(self, job_id: JobId) -> None:
        await self._db.write_one("UPDATE jobs SET told_at = ? WHERE id = ?", (time.time(), job_id))

    async def save_partial(
        self, job_id: JobId, n: int, attempt: int, outputs: Sequence[Mapping[str, Any]], state: bytes | None
    ) -> None:
        """Idempotent: a partial result that is repeated after a reconnect is kept once."""
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT OR IGNORE INTO partials (job_id, n, attempt, outputs, created_at) VALUES (?, ?, ?, ?, ?)",
                (job_id, n, attempt, json.dumps(list(outputs)), time.time()),
            )
            if state is not None:
                await tx.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, job_id))

    async def waits_alike(self, user_id: UserId, task: JobTask) -> bool:
        """Whether they have asked for exactly this already and still wait for it."""
        found = await self._db.one(
            "SELECT 1 FROM jobs WHERE user_id = ? AND status IN ('queued', 'assigned') AND spec = ? LIMIT 1",
            (user_id, task.model_dump_json()),
        )
        return found is not None

    async def start_pinging(self, job_id: JobId) -> bool:
        """True the first time: nobody is pinged twice for one job, whoever dies meanwhile."""
        claimed = await self._db.write_one(
            "UPDATE jobs SET pinged_at = ? WHERE id = ? AND pinged_at IS NULL RETURNING id", (time.time(), job_id)
        )
        return bool(claimed)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def get(self, job_id: JobId) -> Job | None:
        """None, too, for one that this version cannot read."""
        row = await self._db.one("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return next(iter(_jobs([row] if row else [])), None)

    async def by_message(self, message_id: int) -> Job | None:
        row = await self._db.one(
            "SELECT * FROM jobs WHERE message_id = ? ORDER BY created_at DESC LIMIT 1", (message_id,)
        )
        return next(iter(_jobs([row] if row else [])), None)

    async def last_drawing_of(self, user_id: UserId) -> Job | None:
        """What this person asked for last, whatever became of it; tests of models are no pictures of anybody's."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE user_id = ? AND json_extract(spec, '$.kind') IN ('txt2img', 'img2img') "
            "AND action != 'test' ORDER BY created_at DESC, rowid DESC LIMIT 1",
            (user_id,),
        )
        return next(iter(_jobs(rows)), None)

    async def in_status(self, *statuses: JobStatus) -> list[Job]:
        rows = await self._db.all(
            f"SELECT * FROM jobs WHERE status IN ({_marks(statuses)}) ORDER BY created_at, rowid",  # noqa: S608
            statuses,
        )
        return _jobs(rows)

    async def assigned(self) -> list[Claim]:
        """What the table says is running, oldest first."""
        rows = await self._db.all(
            "SELECT id, attempt, worker, cancel_by FROM jobs WHERE status = 'assigned' ORDER BY created_at, rowid"
        )
        return [Claim(JobId(r["id"]), r["attempt"], r["worker"] or "", r["cancel_by"] is not None) for r in rows]

    async def untold(self) -> list[Job]:
        """Ended jobs whose user has not been told: failed, cancelled, or done and not delivered."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE status IN ('done', 'delivering') "
            "OR (status IN ('failed', 'cancelled') AND told_at IS NULL) ORDER BY created_at, rowid"
        )
        return _jobs(rows)

    async def queue(self) -> list[QueueRow]:
        """All waiting jobs, oldest first."""
        rows = await self._db.all(
            "SELECT id, user_id, lane, model, work_units, status, created_at, skipped, worker, guild_id, moved, "
            "moved_at FROM jobs "
            "WHERE status IN ('queued', 'assigned') ORDER BY created_at, rowid"
        )
        return [
            QueueRow(
                JobId(r["id"]), UserId(r["user_id"]), Lane(r["lane"]), r["model"], r["work_units"],
                JobStatus(r["status"]), r["created_at"], r["skipped"], r["worker"], r["guild_id"],
                Move(r["moved"]) if r["moved"] else None, r["moved_at"],
            )
            for r in rows
        ]  # fmt: skip

    async def private_among(self, job_ids: Sequence[JobId]) -> set[JobId]:
        """Those that only their own user may see."""
        rows = await self._db.all(
            f"SELECT id FROM jobs WHERE private = 1 AND id IN ({_marks(job_ids)})",  # noqa: S608 - marks alone
            job_ids,
        )
        return {JobId(row["id"]) for row in rows}

    async def waiting_of(self, user_id: UserId) -> list[Job]:
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE user_id = ? AND status IN ('queued', 'assigned') ORDER BY created_at, rowid",
            (user_id,),
        )
        return _jobs(rows)

    async def waiting_in(self, guild_id: int) -> list[Job]:
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE guild_id = ? AND status IN ('queued', 'assigned') ORDER BY created_at, rowid",
            (guild_id,),
        )
        return _jobs(rows)

    async def waiting_files(self) -> list[Job]:
        """Those that make model files."""
        rows = await self._db.all(
            "SELECT * FROM jobs WHERE status IN ('queued', 'assigned') AND substr(model, 1, ?) = ? ORDER BY rowid",
            (len(TASK_MODEL), TASK_MODEL),
        )
        return [job for job in _jobs(rows) if job.files is not None]

    async def count_waiting_of(self, user_id: UserId) -> int:
        row = await self._db.one(
            "SELECT count(*) FROM jobs WHERE user_id = ? AND status IN ('queued', 'assigned')", (user_id,)
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


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


async def _value(tx: aiosqlite.Connection, sql: str, values: Sequence[Any]) -> Any:
    async with tx.execute(sql, values) as cursor:
        row = await cursor.fetchone()
    return row[0] if row else None


def _jobs(rows: Iterable[Row]) -> list[Job]:
    """A row that this version cannot read must not hide the others."""
    found: list[Job] = []
    for row in rows:
        try:
            found.append(_job(row))
        except ValidationError:
            log.exception("job %s cannot be read and is left out", row["id"])
    return found


def _job(row: Row | sqlite3.Row) -> Job:
    def optional(name: str, kind: Any) -> Any:
        return None if row[name] is None else kind(row[name])

    task = _SPEC.validate_json(row["spec"])
    result: str | None = row["result"]
    looked = isinstance(task, Describe)
    return Job(
        id=JobId(row["id"]),
        action=Action(row["action"]),
        user_id=UserId(row["user_id"]),
        guild_id=optional("guild_id", GuildId),
        channel_id=ChannelId(row["channel_id"]),
        locale=row["locale"],
        lane=Lane(row["lane"]),
        task=task,
        status=JobStatus(row["status"]),
        work_units=row["work_units"],
        attempt=row["attempt"],
        crashes=row["crashes"],
        worker=row["worker"],
        created_at=row["created_at"],
        message_id=optional("message_id", MessageId),
        reply_to_id=optional("reply_to_id", MessageId),
        grant=TokenGrant(row["token"], row["token_expires_at"]) if row["token"] else None,
        parent_id=optional("parent_id", JobId),
        source_image_id=optional("source_image_id", ImageId),
        cancel_by=optional("cancel_by", UserId),
        failure_kind=row["failure_kind"],
        failure_detail=json.loads(row["failure_detail"]) if row["failure_detail"] else {},
        reference=row["reference"],
        state=row["state"],
        run_s=row["run_s"],
        told_at=row["told_at"],
        result=MadeModel(**json.loads(result)) if result and not looked else None,
        description=Description.model_validate_json(result) if result and looked else None,
        private=row["private"] > 0,
    )
