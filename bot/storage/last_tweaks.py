"""The parameters that somebody changed last in the panel, offered again the next time."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, fields
from typing import Any

from bot.domain.ids import UserId
from bot.domain.parameters import Parameters
from bot.storage.database import Database

__all__ = ["LastTweaks"]

_FIELDS = {field.name for field in fields(Parameters)}
_SIZES = ("hires_size", "seed_resize", "extend")


class LastTweaks:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, user_id: UserId) -> Parameters:
        """No wishes where nothing is remembered, or what is cannot be read any more."""
        row = await self._db.one("SELECT wishes FROM last_tweaks WHERE user_id = ?", (user_id,))
        if row is None:
            return Parameters()
        said: dict[str, Any] = json.loads(row["wishes"])
        wishes: dict[str, Any] = {
            name: tuple(wish) if name in _SIZES else wish for name, wish in said.items() if name in _FIELDS
        }
        return Parameters(**wishes)

    async def put(self, user_id: UserId, wishes: Parameters) -> None:
        """Nothing changed is nothing new: the earlier ones stay then."""
        said = {name: wish for name, wish in asdict(wishes).items() if wish is not None}
        if said:
            await self._db.write_one(
                "INSERT INTO last_tweaks (user_id, wishes, changed_at) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET wishes = excluded.wishes, changed_at = excluded.changed_at",
                (user_id, json.dumps(said), time.time()),
            )
