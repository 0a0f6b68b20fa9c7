"""Requests that somebody is still putting together, so that a panel works over a restart. Old ones are thrown away."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from bot.domain.ids import ImageId, JobId, UserId, new_job_id
from bot.domain.job import Action
from bot.storage.database import Database
from gpu_worker.protocol.specs import JobSpec

__all__ = ["Draft", "Drafts"]

log = logging.getLogger(__name__)

KEPT_S = 7 * 24 * 3600.0
_SPEC: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


@dataclass(frozen=True, slots=True)
class Draft:
    id: JobId
    user_id: UserId
    action: Action
    spec: JobSpec
    source_image_id: ImageId | None = None


class Drafts:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: UserId, action: Action, spec: JobSpec, source: ImageId | None = None) -> Draft:
        draft = Draft(new_job_id(), user_id, action, spec, source)
        async with self._db.write() as tx:
            await tx.execute(
                "INSERT INTO drafts (id, user_id, action, source_image_id, spec, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (draft.id, user_id, action, source, spec.model_dump_json(), time.time()),
            )
        return draft

    async def drop_old(self) -> list[JobSpec]:
        """Throws away what is older than a week, and returns it."""
        async with self._db.write() as tx:
            rows = await tx.execute_fetchall(
                "DELETE FROM drafts WHERE created_at < ? RETURNING id, spec", (time.time() - KEPT_S,)
            )
        return [spec for row in rows if (spec := _spec(row["id"], row["spec"])) is not None]

    async def change(self, draft: Draft, spec: JobSpec) -> Draft:
        async with self._db.write() as tx:
            await tx.execute("UPDATE drafts SET spec = ? WHERE id = ?", (spec.model_dump_json(), draft.id))
        return Draft(draft.id, draft.user_id, draft.action, spec, draft.source_image_id)

    async def get(self, draft_id: JobId) -> Draft | None:
        """None, too, for one that is older than a week or that this version cannot read."""
        row = await self._db.one(
            "SELECT * FROM drafts WHERE id = ? AND created_at >= ?", (draft_id, time.time() - KEPT_S)
        )
        spec = _spec(row["id"], row["spec"]) if row else None
        if row is None or spec is None:
            return None
        return Draft(
            JobId(row["id"]),
            UserId(row["user_id"]),
            Action(row["action"]),
            spec,
            ImageId(row["source_image_id"]) if row["source_image_id"] else None,
        )


def _spec(draft_id: str, text: str) -> JobSpec | None:
    try:
        return _SPEC.validate_json(text)
    except ValidationError:
        log.exception("draft %s cannot be read and is left out", draft_id)
        return None
