"""Sheets that kill their workers: cells that shared one are tried alone, and a model that kills all of them is left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import aiosqlite

from bot.domain.ids import JobId, new_job_id
from bot.domain.job import JobStatus, work_units
from gpu_worker.protocol.specs import Sheet

__all__ = ["fail_alike_in", "parted_in"]

CRASHED_MAX = 3
"""So many sheets of one script and model may die before its others are not tried any more."""


async def parted_in(tx: aiosqlite.Connection, sheet_id: JobId, crashes: int) -> bool:
    """The sheet keeps its first cell, and each other one gets a sheet of its own that waits, so that only what kills a
    worker by itself stays blank. All begin with so many `crashes`. False for what is no sheet, or has one cell."""
    rows = list(await tx.execute_fetchall("SELECT spec FROM jobs WHERE id = ? AND action = 'cell'", (sheet_id,)))
    if not rows or not rows[0]["spec"].startswith('{"kind":"sheet"'):
        return False
    sheet = Sheet.model_validate_json(rows[0]["spec"])
    if len(sheet.cells) == 1:
        return False
    first, *others = [
        Sheet(cells=(cell,), places=sheet.places[index : index + 1]) for index, cell in enumerate(sheet.cells)
    ]
    await tx.execute(
        "UPDATE jobs SET spec = ?, work_units = ? WHERE id = ?", (first.model_dump_json(), work_units(first), sheet_id)
    )
    await tx.executemany(
        "INSERT INTO jobs (id, action, source_image_id, lane, user_id, guild_id, channel_id, locale, spec, model, "
        "work_units, status, crashes, created_at, private, script_id) "
        "SELECT ?, action, source_image_id, lane, user_id, guild_id, channel_id, locale, ?, model, ?, ?, ?, "
        "created_at, private, script_id FROM jobs WHERE id = ?",
        [
            (new_job_id(), other.model_dump_json(), work_units(other), JobStatus.QUEUED, crashes, sheet_id)
            for other in others
        ],
    )
    return True


async def fail_alike_in(tx: aiosqlite.Connection, sheet_id: JobId, failure: Mapping[str, Any]) -> None:
    """After the `CRASHED_MAX`th sheet of a script and model has failed by crashes, those that wait fail as well: no
    worker is killed a hundred times by one grid. For what is no sheet nothing happens."""
    await tx.execute(
        "UPDATE jobs SET status = 'failed', finished_at = ?2, failure_kind = ?3, failure_detail = ?4, reference = ?5 "
        "WHERE status = 'queued' AND (script_id, model) IN (SELECT script_id, model FROM jobs WHERE id = ?1) "
        "AND (SELECT count(*) FROM jobs f JOIN jobs s ON s.id = ?1 WHERE f.script_id = s.script_id "
        "AND f.model = s.model AND f.status = 'failed' AND f.failure_kind = ?3) >= ?6",
        (
            sheet_id, time.time(), failure["failure_kind"], failure["failure_detail"], failure["reference"],
            CRASHED_MAX,
        ),
    )  # fmt: skip
