"""What somebody has used of their quotas: read off the jobs themselves, so a crash loses none of it, and what failed or
was cancelled is given back by that alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from bot.domain.safety.limits import DAY_S, Spent
from bot.storage.database import Database

__all__ = ["Spending"]


class Spending:
    def __init__(self, database: Database, estimate_s: Callable[[str, float], float | None]) -> None:
        """`estimate_s` gives the seconds of a model and work units, for what is not drawn yet."""
        self._db = database
        self._estimate_s = estimate_s

    async def of(self, user_id: int, guild_id: int | None = None) -> Spent:
        """In one server, or everywhere. Admins' work on model files is not counted, looking at a picture is no
        picture."""
        rows = await self._db.all(
            "SELECT created_at, status, model, work_units, run_s, "
            "coalesce(json_extract(spec, '$.count'), 1) AS pictures, "
            "json_extract(spec, '$.kind') AS kind FROM jobs WHERE user_id = ?1 AND created_at > ?2 "
            "AND (?3 IS NULL OR guild_id = ?3) AND status NOT IN ('failed', 'cancelled') "
            "AND json_extract(spec, '$.kind') NOT IN ('convert', 'merge', 'bake') AND action != 'test' "
            "ORDER BY created_at",
            (user_id, time.time() - DAY_S, guild_id),
        )
        uses: list[tuple[float, int, float]] = []
        waiting = 0
        for row in rows:
            open_now = row["status"] in ("queued", "assigned")
            waiting += open_now
            seconds = row["run_s"] if row["run_s"] is not None else 0.0
            if open_now:
                seconds = self._estimate_s(row["model"], row["work_units"]) or 0.0
            uses.append((row["created_at"], 0 if row["kind"] == "describe" else int(row["pictures"]), float(seconds)))
        return Spent(tuple(uses), waiting)
