"""Scripts that were shown with their cost and are drawn by a press, once, however often it is pressed."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from bot.domain.ids import ImageId, JobId, UserId, new_job_id
from bot.domain.job import Action
from bot.domain.scripts import ScriptSpec
from bot.storage.database import Database
from bot.storage.drafts import KEPT_S

__all__ = ["ScriptOffer", "ScriptOffers"]

log = logging.getLogger(__name__)

_SCRIPT: TypeAdapter[ScriptSpec] = TypeAdapter(ScriptSpec)


@dataclass(frozen=True, slots=True)
class ScriptOffer:
    id: JobId
    user_id: UserId
    script: ScriptSpec
    action: Action
    source_image_id: ImageId | None = None
    parent_id: JobId | None = None
    private: bool = False


class ScriptOffers:
    """An offer lives as long as a draft."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(
        self,
        user_id: UserId,
        script: ScriptSpec,
        action: Action,
        *,
        source_image_id: ImageId | None,
        parent_id: JobId | None,
        private: bool,
    ) -> ScriptOffer:
        offer = ScriptOffer(new_job_id(), user_id, script, action, source_image_id, parent_id, private)
        await self._db.write_one(
            "INSERT INTO script_offers (id, user_id, spec, action, source_image_id, parent_id, private, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                offer.id, user_id, script.model_dump_json(), action, source_image_id, parent_id, int(private),
                time.time(),
            ),
        )  # fmt: skip
        return offer

    async def get(self, id_: str) -> ScriptOffer | None:
        """None, too, for one that is too old, or that this version cannot read."""
        row = await self._db.one(
            "SELECT * FROM script_offers WHERE id = ? AND created_at >= ?", (id_, time.time() - KEPT_S)
        )
        if row is None:
            return None
        try:
            script = _SCRIPT.validate_json(row["spec"])
        except ValidationError:
            log.exception("offer %s cannot be read and is left out", id_)
            return None
        return ScriptOffer(
            JobId(row["id"]),
            UserId(row["user_id"]),
            script,
            Action(row["action"]),
            ImageId(row["source_image_id"]) if row["source_image_id"] else None,
            JobId(row["parent_id"]) if row["parent_id"] else None,
            row["private"] > 0,
        )

    async def take(self, id_: str) -> bool:
        """True for exactly one of all who ask."""
        taken = await self._db.write_one(
            "UPDATE script_offers SET taken_at = ? WHERE id = ? AND taken_at IS NULL RETURNING id", (time.time(), id_)
        )
        return bool(taken)

    async def give_back(self, id_: str | None = None) -> None:
        """What was taken could not begin: no job has its id. Without one, whatever an earlier life of the bot took."""
        await self._db.write_one(
            "UPDATE script_offers SET taken_at = NULL WHERE taken_at IS NOT NULL AND (?1 IS NULL OR id = ?1) "
            "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = script_offers.id)",
            (id_,),
        )

    async def drop_old(self) -> None:
        """What their pictures were is swept up with all that nothing needs."""
        await self._db.write_one("DELETE FROM script_offers WHERE created_at < ?", (time.time() - KEPT_S,))
