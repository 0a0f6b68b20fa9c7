"""Scripts in the job table: one row for the whole, one for each sheet, and one for each cell once it is drawn."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite

from bot.domain.ids import ImageId, JobId, UserId, new_job_id
from bot.domain.job import Action, Job, JobStatus, Lane, NewJob, model_of, work_units
from bot.storage.database import Database
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import JobSpec

__all__ = ["CellPicture", "Progressed", "Scripts", "add_cells_in", "as_sheet", "missing_columns"]


@dataclass(frozen=True, slots=True)
class CellPicture:
    """A cell that was drawn, and where its picture is."""

    place: int
    job_id: JobId
    image_id: ImageId
    deleted: bool


@dataclass(frozen=True, slots=True)
class Progressed:
    """Where a script stands. Places of sheets that are over and have no picture are blank for good."""

    total: int
    drawn: int
    open_sheets: int
    """Sheets that wait or are drawn."""

    @property
    def is_over(self) -> bool:
        return self.open_sheets == 0


def as_sheet(script: NewJob, task: Any) -> NewJob:
    """A sheet of that script. It is nobody's interaction, and has no card."""
    return NewJob(
        id=new_job_id(),
        action=Action.CELL,
        user_id=script.user_id,
        channel_id=script.channel_id,
        guild_id=script.guild_id,
        locale=script.locale,
        task=task,
        lane=Lane.BATCH,
        source_image_id=script.source_image_id,
        private=script.private,
        script_id=script.id,
    )


async def add_cells_in(tx: aiosqlite.Connection, sheet: Job, cells: Sequence[tuple[int, JobSpec]]) -> list[JobId]:
    """The jobs of cells (place, request) that were drawn with `sheet`, in that order: whatever knows what to do with a
    finished drawing knows it with a cell. They are born delivered, and cost nothing: their sheet did."""
    now = time.time()
    made = [new_job_id() for _ in cells]
    await tx.executemany(
        "INSERT INTO jobs (id, parent_id, action, source_image_id, lane, user_id, guild_id, channel_id, locale, spec, "
        "model, work_units, status, created_at, finished_at, told_at, private, script_id, place) "
        "SELECT ?, script_id, ?, source_image_id, lane, user_id, guild_id, channel_id, locale, ?, ?, ?, ?, ?, ?, ?, "
        "private, script_id, ? FROM jobs WHERE id = ?",
        [
            (
                id_, Action.CELL, spec.model_dump_json(), model_of(spec), work_units(spec), JobStatus.DELIVERED,
                now, now, now, place, sheet.id,
            )
            for id_, (place, spec) in zip(made, cells, strict=True)
        ],
    )  # fmt: skip
    return made


def missing_columns(places: Sequence[int], missing: Sequence[m.Missing]) -> dict[str, Any]:
    """Columns of a sheet that is done but for these cells."""
    told = {str(places[one.index]): [one.kind, one.detail] for one in missing if one.index < len(places)}
    return {"failure_detail": json.dumps({"missing": told}, default=str)} if told else {}


class Scripts:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def open(self) -> list[JobId]:
        """Scripts that are not over, oldest first."""
        rows = await self._db.all(
            "SELECT id FROM jobs WHERE lane = 'script' AND status = 'queued' ORDER BY created_at, rowid"
        )
        return [JobId(row["id"]) for row in rows]

    async def waiting(self, job_id: JobId) -> JobId | None:
        """The script that this job is, or that it belongs to; None where there is none, or it is over. Asked of what
        this version may not be able to read."""
        row = await self._db.one(
            "SELECT id FROM jobs WHERE id = (SELECT coalesce(script_id, id) FROM jobs WHERE id = ?) "
            "AND lane = 'script' AND status = 'queued'",
            (job_id,),
        )
        return JobId(row["id"]) if row else None

    async def give_up(self, script_id: JobId) -> list[JobId]:
        """Fails one that this version cannot read, with the sheets that wait, whose ids it returns: nobody could put
        its grid together."""
        async with self._db.write() as tx:
            failed = await tx.execute_fetchall(
                "UPDATE jobs SET status = 'failed', failure_kind = 'other', finished_at = ?2 "
                "WHERE id = ?1 AND lane = 'script' AND status = 'queued' RETURNING id",
                (script_id, time.time()),
            )
            sheets = await tx.execute_fetchall(
                "UPDATE jobs SET status = 'cancelled', finished_at = ?2 WHERE script_id = ?1 AND status = 'queued' "
                "AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND status = 'failed') RETURNING id",
                (script_id, time.time()),
            )
        return [JobId(row["id"]) for row in (*failed, *sheets)]

    async def progress(self, script_id: JobId) -> Progressed:
        rows = await self._db.all(
            "SELECT status IN ('queued', 'assigned') AS waits, place IS NULL AS sheet, "
            "sum(iif(place IS NULL, json_array_length(spec, '$.cells'), 1)) AS cells, count(*) AS jobs "
            "FROM jobs WHERE script_id = ? GROUP BY 1, 2",
            (script_id,),
        )
        total = sum(row["cells"] for row in rows if row["sheet"])
        drawn = sum(row["jobs"] for row in rows if not row["sheet"])
        return Progressed(total, drawn, sum(row["jobs"] for row in rows if row["sheet"] and row["waits"]))

    async def is_deleted(self, script_id: JobId) -> bool:
        """Its user deleted its card, perhaps before it was over."""
        row = await self._db.one("SELECT 1 FROM jobs WHERE id = ? AND deleted_at IS NOT NULL", (script_id,))
        return row is not None

    async def sheets(self, script_id: JobId) -> list[JobId]:
        """Those that are not over."""
        rows = await self._db.all(
            "SELECT id FROM jobs WHERE script_id = ? AND status IN ('queued', 'assigned') ORDER BY rowid", (script_id,)
        )
        return [JobId(row["id"]) for row in rows]

    async def pictures(self, script_id: JobId) -> list[CellPicture]:
        """Every cell that was drawn, by place."""
        rows = await self._db.all(
            "SELECT j.place, j.id AS job_id, i.id AS image_id, i.deleted_at FROM jobs j "
            "JOIN images i ON i.job_id = j.id WHERE j.script_id = ? AND j.place IS NOT NULL ORDER BY j.place",
            (script_id,),
        )
        return [
            CellPicture(
                row["place"], JobId(row["job_id"]), ImageId(row["image_id"]), deleted=row["deleted_at"] is not None
            )
            for row in rows
        ]

    async def cell(self, script_id: JobId, place: int) -> JobId | None:
        row = await self._db.one("SELECT id FROM jobs WHERE script_id = ? AND place = ?", (script_id, place))
        return JobId(row["id"]) if row else None

    async def first_failure(self, script_id: JobId) -> dict[str, Any]:
        """Columns for a script of which no cell could be drawn: what its first failed sheet says."""
        row = await self._db.one(
            "SELECT failure_kind, failure_detail, reference FROM jobs WHERE script_id = ? AND place IS NULL "
            "AND failure_kind IS NOT NULL ORDER BY rowid LIMIT 1",
            (script_id,),
        )
        if row is None:
            return {"failure_kind": "other"}
        return {name: row[name] for name in ("failure_kind", "failure_detail", "reference")}

    async def reasons(self, script_id: JobId) -> dict[int, str]:
        """Why places are blank, by the kind of failure; those of sheets that failed as a whole, too."""
        rows = await self._db.all(
            "SELECT status, failure_kind, failure_detail, json_extract(spec, '$.places') AS places FROM jobs "
            "WHERE script_id = ? AND place IS NULL",
            (script_id,),
        )
        found: dict[int, str] = {}
        for row in rows:
            detail: Mapping[str, Any] = json.loads(row["failure_detail"] or "{}")
            if row["status"] in (JobStatus.FAILED, JobStatus.CANCELLED):
                kind = "cancelled" if row["status"] == JobStatus.CANCELLED else str(row["failure_kind"] or "other")
                found |= dict.fromkeys(json.loads(row["places"] or "[]"), kind)
            found |= {int(place): str(kind) for place, (kind, _) in detail.get("missing", {}).items()}
        return found

    async def cancel(self, script_id: JobId, by: UserId | None) -> tuple[list[JobId], list[JobId]] | None:
        """Notes the wish, and cancels the sheets that wait: their ids, and those of the sheets that are drawn just now.
        None where that is no script, or is over. `by` None: as somebody asked before."""
        async with self._db.write() as tx:
            row = list(
                await tx.execute_fetchall(
                    "UPDATE jobs SET cancel_by = coalesce(cancel_by, ?2) WHERE id = ?1 AND lane = 'script' "
                    "AND status = 'queued' RETURNING cancel_by",
                    (script_id, by),
                )
            )
            if not row or row[0]["cancel_by"] is None:
                return None
            cancelled = await tx.execute_fetchall(
                "UPDATE jobs SET status = 'cancelled', cancel_by = ?2, finished_at = ?3 "
                "WHERE script_id = ?1 AND status = 'queued' RETURNING id",
                (script_id, row[0]["cancel_by"], time.time()),
            )
            running = await tx.execute_fetchall(
                "SELECT id FROM jobs WHERE script_id = ? AND status = 'assigned'", (script_id,)
            )
        return [JobId(one["id"]) for one in cancelled], [JobId(one["id"]) for one in running]
