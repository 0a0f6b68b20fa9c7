"""Recorded requests with control units, found by what a pasted text says of their pictures."""

from __future__ import annotations

import logging

from pydantic import TypeAdapter, ValidationError

from bot.domain.ids import JobId, UserId
from bot.storage.database import Database
from gpu_worker.protocol.specs import JobSpec

__all__ = ["ControlRecords"]

log = logging.getLogger(__name__)

MOST = 5
_SPEC: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


class ControlRecords:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def led(self, user_id: UserId, seed: int) -> list[tuple[JobId, JobSpec]]:
        """The newest requests of that person with units, one of whose pictures has that seed, with their jobs."""
        rows = await self._db.all(
            "SELECT DISTINCT jobs.id, jobs.spec FROM jobs JOIN images ON images.job_id = jobs.id "
            "WHERE jobs.user_id = ? AND images.seed = ? AND images.deleted_at IS NULL "
            "AND instr(jobs.spec, '\"preprocessor\":') ORDER BY jobs.created_at DESC LIMIT ?",
            (user_id, str(seed), MOST),
        )
        found: list[tuple[JobId, JobSpec]] = []
        for row in rows:
            try:
                found.append((JobId(row["id"]), _SPEC.validate_json(row["spec"])))
            except ValidationError:  # a map, which has no units, or a record of another version
                log.debug("job %s has no units that a text could mean", row["id"])
        return found
