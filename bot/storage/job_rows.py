"""How rows of the job table are read."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, MessageId, UserId
from bot.domain.job import Action, Job, JobStatus, JobTask, Lane, MadeModel, TokenGrant
from bot.domain.queue_rules import Move
from bot.storage.database import Row
from gpu_worker.protocol.results import Captions, Description
from gpu_worker.protocol.specs import Caption, Describe

__all__ = ["Claim", "QueueRow", "job_of", "jobs_of"]

log = logging.getLogger(__name__)

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
    script_id: JobId | None = None
    """Of a sheet."""
    held: bool = False
    """Its user pauses it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt that the table says is running somewhere."""

    job_id: JobId
    attempt: int
    worker: str
    cancel_asked: bool


def jobs_of(rows: Iterable[Row]) -> list[Job]:
    """A row that this version cannot read must not hide the others."""
    found: list[Job] = []
    for row in rows:
        try:
            found.append(job_of(row))
        except ValidationError:
            log.exception("job %s cannot be read and is left out", row["id"])
    return found


def job_of(row: Row | sqlite3.Row) -> Job:
    def optional(name: str, kind: Any) -> Any:
        return None if row[name] is None else kind(row[name])

    task = _SPEC.validate_json(row["spec"])
    result: str | None = row["result"]
    looked, captioned = isinstance(task, Describe), isinstance(task, Caption)
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
        result=MadeModel(**json.loads(result)) if result and not (looked or captioned) else None,
        description=Description.model_validate_json(result) if result and looked else None,
        captions=Captions.model_validate_json(result) if result and captioned else None,
        private=row["private"] > 0,
        script_id=optional("script_id", JobId),
        place=row["place"],
        held_at=row["held_at"],
    )
