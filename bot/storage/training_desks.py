"""What people put together in /train start, so that its buttons work over a restart. Old ones are dropped.

A training that was begun on a desk has the desk's id: so a bot that died tells whether it has begun.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from pydantic import ValidationError

from bot.domain.ids import JobId, UserId, new_job_id
from bot.domain.training.wishes import TrainingWish
from bot.storage.database import Database

__all__ = ["TrainingDesk", "TrainingDesks"]

log = logging.getLogger(__name__)

KEPT_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class TrainingDesk:
    id: JobId
    user_id: UserId
    wish: TrainingWish


class TrainingDesks:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: UserId, wish: TrainingWish) -> TrainingDesk:
        id_, now = new_job_id(), time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM training_desks WHERE created_at < ?", (now - KEPT_S,))
            await tx.execute(
                "INSERT INTO training_desks (id, user_id, wish, created_at) VALUES (?, ?, ?, ?)",
                (id_, user_id, wish.model_dump_json(), now),
            )
        return TrainingDesk(id_, user_id, wish)

    async def get(self, id_: str, user_id: int) -> TrainingDesk | None:
        """None, too, for somebody else's, and for one that this version cannot read."""
        row = await self._db.one("SELECT * FROM training_desks WHERE id = ? AND user_id = ?", (id_, user_id))
        if row is None:
            return None
        try:
            wish = TrainingWish.model_validate_json(row["wish"])
        except ValidationError:
            log.warning("the training desk %s cannot be read", id_)
            return None
        return TrainingDesk(JobId(row["id"]), UserId(row["user_id"]), wish)

    async def change(self, id_: str, wish: TrainingWish) -> None:
        await self._db.write_one("UPDATE training_desks SET wish = ? WHERE id = ?", (wish.model_dump_json(), id_))

    async def take(self, id_: str) -> bool:
        """True for whoever begins it; nobody does twice."""
        taken = await self._db.write_one(
            "UPDATE training_desks SET begun_at = ? WHERE id = ? AND begun_at IS NULL RETURNING id", (time.time(), id_)
        )
        return bool(taken)

    async def give_back(self, id_: str | None = None) -> None:
        """What was taken and has no job; None: all of them, at a start."""
        await self._db.write_one(
            "UPDATE training_desks SET begun_at = NULL WHERE begun_at IS NOT NULL AND (?1 IS NULL OR id = ?1) "
            "AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = training_desks.id)",
            (id_,),
        )
