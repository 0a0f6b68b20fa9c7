"""Requests that somebody is still putting together, so that a panel works over a restart. Old ones are thrown away."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
    base: JobSpec | None = None
    """What the panel compares it with, and goes back to."""
    parent_id: JobId | None = None
    """The job that it was opened from."""
    searches: Mapping[str, str] = field(default_factory=dict[str, str])
    """What each list of the panel was searched for."""
    private: bool = False
    """It was asked for as one for its user's eyes alone."""


class Drafts:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(
        self,
        user_id: UserId,
        action: Action,
        spec: JobSpec,
        source: ImageId | None = None,
        *,
        base: JobSpec | None = None,
        parent_id: JobId | None = None,
        private: bool = False,
    ) -> Draft:
        """Without `base` it is compared with itself as it is now."""
        draft = Draft(new_job_id(), user_id, action, spec, source, base or spec, parent_id, private=private)
        await self._db.write_one(
            "INSERT INTO drafts (id, user_id, action, source_image_id, spec, created_at, base, parent_id, private) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                draft.id, user_id, action, source, spec.model_dump_json(), time.time(),
                (base or spec).model_dump_json(), parent_id, int(private),
            ),
        )  # fmt: skip
        return draft

    async def drop_old(self) -> list[JobSpec]:
        """Throws away what is older than a week, and returns every request that it held."""
        rows = await self._db.write_one(
            "DELETE FROM drafts WHERE created_at < ? RETURNING id, spec, base", (time.time() - KEPT_S,)
        )
        held = [_spec(row["id"], text) for row in rows for text in {row["spec"], row["base"]} if text]
        return [spec for spec in held if spec is not None]

    async def change(self, draft: Draft, spec: JobSpec, *, private: bool | None = None) -> Draft:
        """`private` None leaves that as it is."""
        private = draft.private if private is None else private
        await self._db.write_one(
            "UPDATE drafts SET spec = ?, private = ? WHERE id = ?", (spec.model_dump_json(), int(private), draft.id)
        )
        return replace(draft, spec=spec, private=private)

    async def search(self, draft: Draft, which: str, text: str) -> Draft:
        """An empty text searches no more."""
        searches = {**draft.searches, which: text}
        await self._db.write_one("UPDATE drafts SET searches = ? WHERE id = ?", (json.dumps(searches), draft.id))
        return replace(draft, searches=searches)

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
            _spec(row["id"], row["base"]) if row["base"] else None,
            JobId(row["parent_id"]) if row["parent_id"] else None,
            json.loads(row["searches"]),
            row["private"] > 0,
        )


def _spec(draft_id: str, text: str) -> JobSpec | None:
    try:
        return _SPEC.validate_json(text)
    except ValidationError:
        log.exception("draft %s cannot be read and is left out", draft_id)
        return None
