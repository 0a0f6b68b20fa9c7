"""The durable job table. Status changes go through `transition`, which says whether this very call acted."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import aiosqlite

from bot.domain.ids import JobId, MessageId, UserId
from bot.domain.job import Job, JobStatus, NewJob, TokenGrant, model_of, work_units
from bot.domain.queue_rules import Move
from bot.storage.job_reading import JobReader, marks
from bot.storage.job_rows import Claim, QueueRow, job_of
from bot.storage.poison_sheets import fail_alike_in, parted_in
from bot.storage.trainings import add_training_in, begin_attempt_in, got_further_in

__all__ = ["WAITING", "Claim", "Jobs", "QueueRow"]

WAITING = (JobStatus.QUEUED, JobStatus.ASSIGNED)
ATTEMPTS_MAX = 50
"""Starts of a job that gets a little further each time and is lost each time."""


class Jobs(JobReader):
    """What can be asked of it is in bot/storage/job_reading.py."""

    # --- coming in ----------------------------------------------------------------------------------------------------

    async def add(self, new: NewJob, sheets: Sequence[NewJob] = ()) -> tuple[JobId, bool]:
        """Commits the job as queued, with all its sheets where it is a script, and with what is known of it where it is
        a training. Returns its id and True; for a repeated interaction the first one's and False."""
        now = time.time()
        insert = (
            "INSERT INTO jobs (id, interaction_id, parent_id, action, source_image_id, lane, user_id, guild_id, "
            "channel_id, locale, reply_to_id, token, token_expires_at, spec, model, work_units, status, "
            "created_at, private, script_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (interaction_id) DO NOTHING RETURNING id"
        )
        values = _row_of(new, now)
        if (
            not sheets
            and new.training is None
            and await self._db.one("SELECT 1 FROM users WHERE id = ? AND locale = ?", (new.user_id, new.locale))
        ):
            added = await self._db.write_one(insert, values)
        else:
            async with self._db.write() as tx:
                await tx.execute(
                    "INSERT INTO users (id, locale, first_seen_at) VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET locale = excluded.locale",
                    (new.user_id, new.locale, now),
                )
                added = list(await tx.execute_fetchall(insert, values))
                for sheet in sheets if added else ():
                    await tx.execute_fetchall(insert, _row_of(sheet, now))
                if added:
                    await add_training_in(tx, new)
        if added:
            return new.id, True
        earlier = await self._db.one("SELECT id FROM jobs WHERE interaction_id = ?", (new.interaction_id,))
        # None only where its person asked to be forgotten in this very moment.
        return JobId(earlier["id"]) if earlier is not None else new.id, False

    # --- its card and its user ----------------------------------------------------------------------------------------

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

    async def told(self, job_id: JobId) -> None:
        await self._db.write_one("UPDATE jobs SET told_at = ? WHERE id = ?", (time.time(), job_id))

    async def start_pinging(self, job_id: JobId) -> bool:
        """True the first time: nobody is pinged twice for one job, whoever dies meanwhile."""
        claimed = await self._db.write_one(
            "UPDATE jobs SET pinged_at = ? WHERE id = ? AND pinged_at IS NULL RETURNING id", (time.time(), job_id)
        )
        return bool(claimed)

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
        sql = f"UPDATE jobs SET status = ?{sets} WHERE id = ? AND status IN ({marks(wanted)})"  # noqa: S608
        values: list[Any] = [to, *columns.values(), job_id, *wanted]
        if attempt is not None:
            sql += " AND attempt = ?"
            values.append(attempt)
        cursor = await tx.execute(sql, values)
        return cursor.rowcount == 1

    async def claim(self, job_id: JobId, worker: str, boot: str) -> Job | None:
        """Queued → assigned with the next attempt number, or None where somebody was faster (a cancel, a pause)."""
        now = time.time()
        async with self._db.write() as tx:
            cursor = await tx.execute(
                "UPDATE jobs SET status = 'assigned', attempt = attempt + 1, worker = ?, assigned_at = ? "
                "WHERE id = ? AND status = 'queued' AND held_at IS NULL RETURNING *",
                (worker, now, job_id),
            )
            row = await cursor.fetchone()
            await cursor.close()
            if row is None:
                return None
            job = job_of(row)
            await tx.execute(
                "INSERT INTO attempts (job_id, attempt, worker, boot, started_at) VALUES (?, ?, ?, ?, ?)",
                (job.id, job.attempt, worker, boot, now),
            )
            if job.training is not None:
                await begin_attempt_in(tx, job.id)
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
        used_s: float = 0.0,
    ) -> JobStatus | None:
        """A running attempt has ended without a result; one transaction decides what becomes of its job.

        Cancelled, where somebody asked for that; failed, with the columns of `failure`, where this was the
        `max_crashes`-th blamed start, except that the cells of a sheet are then tried alone; else queued again. A
        start that left a finished part behind is not counted: the next one goes on from there, and does not meet the
        same end. `used_s` counts as drawn, whatever becomes of the job. Returns that status, or None where this attempt
        was not the running one and nothing changed.
        """
        async with self._db.write() as tx:
            async with tx.execute(
                "SELECT crashes, cancel_by, run_s FROM jobs WHERE id = ? AND attempt = ? AND status = 'assigned'",
                (job_id, attempt),
            ) as cursor:
                row = await cursor.fetchone()
            if row is None:
                return None
            crashes = int(row["crashes"]) + (blamed and not await _progressed(tx, job_id, attempt))
            columns: dict[str, Any] = {"crashes": crashes, "worker": None}
            if used_s > 0:
                columns["run_s"] = (row["run_s"] or 0.0) + used_s
            if row["cancel_by"] is not None:
                status = JobStatus.CANCELLED
                columns["finished_at"] = time.time()
            elif blamed and crashes >= max_crashes and await parted_in(tx, job_id, max_crashes - 1):
                status = JobStatus.QUEUED
                columns["crashes"] = max_crashes - 1
            elif blamed and (crashes >= max_crashes or await _blamed_starts(tx, job_id) >= ATTEMPTS_MAX - 1):
                status = JobStatus.FAILED
                columns |= {**failure, "finished_at": time.time()}
            else:
                status = JobStatus.QUEUED
            await self.transition_in(tx, job_id, (JobStatus.ASSIGNED,), status, attempt=attempt, **columns)
            await self.end_attempt(tx, job_id, attempt, outcome)
            if status is JobStatus.FAILED:
                await fail_alike_in(tx, job_id, failure)
            return status

    async def worker_of(self, job_id: JobId, attempt: int) -> str | None:
        """Who was given that attempt; None where nobody was."""
        row = await self._db.one("SELECT worker FROM attempts WHERE job_id = ? AND attempt = ?", (job_id, attempt))
        return str(row["worker"]) if row is not None else None

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
                "UPDATE jobs SET status = 'assigned', worker = ?, crashes = max(0, crashes - ?) WHERE id = ? "
                "AND status = 'queued' RETURNING *",
                (worker, int(not await _progressed(tx, job_id, attempt)), job_id),
            ) as cursor:
                row = await cursor.fetchone()
            return job_of(row) if row else None

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

    async def pause(self, job_id: JobId) -> JobStatus | None:
        """Holds a training that waits, or will wait once its worker has let go of it. Its status, or None where there
        is nothing to hold or it is held already."""
        rows = await self._db.write_one(
            "UPDATE jobs SET held_at = ? WHERE id = ? AND lane = 'training' AND held_at IS NULL "
            "AND status IN ('queued', 'assigned') RETURNING status",
            (time.time(), job_id),
        )
        return JobStatus(rows[0]["status"]) if rows else None

    async def resume(self, job_id: JobId) -> bool:
        """False where it was not held, or is over."""
        rows = await self._db.write_one(
            "UPDATE jobs SET held_at = NULL WHERE id = ? AND held_at IS NOT NULL "
            "AND status IN ('queued', 'assigned') RETURNING id",
            (job_id,),
        )
        return bool(rows)

    async def move(self, job_id: JobId, move: Move) -> bool:
        """A sheet goes with all that wait of its script. False where nothing of it waits."""
        moved = await self._db.write_one(
            "UPDATE jobs SET moved = ?1, moved_at = ?2 WHERE status = 'queued' "
            "AND (id = ?3 OR script_id = (SELECT script_id FROM jobs WHERE id = ?3)) RETURNING id",
            (move, time.time(), job_id),
        )
        return bool(moved)


def _row_of(new: NewJob, now: float) -> tuple[Any, ...]:
    return (
        new.id, new.interaction_id, new.parent_id, new.action, new.source_image_id, new.lane, new.user_id,
        new.guild_id, new.channel_id, new.locale, new.reply_to_id,
        new.grant.token if new.grant else None, new.grant.expires_at if new.grant else None,
        new.task.model_dump_json(), model_of(new.task), work_units(new.task), JobStatus.QUEUED, now,
        int(new.private), new.script_id,
    )  # fmt: skip


async def _progressed(tx: aiosqlite.Connection, job_id: JobId, attempt: int) -> bool:
    """Whether an attempt, the last one, left a part behind (bot/storage/kept_parts.py), or trained further than any."""
    left = await _value(tx, "SELECT 1 FROM partials WHERE job_id = ? AND attempt = ?", (job_id, attempt))
    return left is not None or await got_further_in(tx, job_id)


async def _blamed_starts(tx: aiosqlite.Connection, job_id: JobId) -> int:
    """A training may be handed out hundreds of times without anything being wrong with it."""
    return await _value(
        tx,
        "SELECT count(*) FROM attempts WHERE job_id = ? AND outcome IN ('crashed', 'silent', 'failed', 'damaged')",
        (job_id,),
    )


async def _value(tx: aiosqlite.Connection, sql: str, values: Sequence[Any]) -> Any:
    async with tx.execute(sql, values) as cursor:
        row = await cursor.fetchone()
    return row[0] if row else None
