"""What somebody has used of their quotas: read off the jobs themselves, so a crash loses none of it, and what failed or
was cancelled is given back by that alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from bot.domain.safety.limits import DAY_S, Spent
from bot.storage.database import Database

__all__ = ["COUNTED_JOBS", "PICTURES_OF_JOB", "Spending"]

COUNTED_JOBS = (
    "status NOT IN ('failed', 'cancelled') AND action != 'test' "
    "AND json_extract(spec, '$.kind') NOT IN ('convert', 'merge', 'bake')"
)
"""Of `jobs`: what counts at all. Admins' tests and work on model files do not."""
PICTURES_OF_JOB = "iif(json_extract(spec, '$.kind') = 'describe', 0, coalesce(json_extract(spec, '$.count'), 1))"
"""Looking at a picture draws none."""


class Spending:
    def __init__(self, database: Database, estimate_s: Callable[[str, float], float | None]) -> None:
        """`estimate_s` gives the seconds of a model and work units, for what is not drawn yet."""
        self._db = database
        self._estimate_s = estimate_s

    async def sweep(self) -> None:
        """What was kept of people who were forgotten goes after its day."""
        await self._db.write_one("DELETE FROM spending_kept WHERE at <= ?", (time.time() - DAY_S,))

    async def of(self, user_id: int, guild_id: int | None = None) -> Spent:
        """In one server, or everywhere."""
        since = time.time() - DAY_S
        rows = await self._db.all(
            f"SELECT created_at, status, model, work_units, run_s, {PICTURES_OF_JOB} AS pictures FROM jobs "  # noqa: S608
            f"WHERE user_id = ?1 AND created_at > ?2 AND (?3 IS NULL OR guild_id = ?3) AND {COUNTED_JOBS} "
            "UNION ALL SELECT at, 'delivered', '', 0, gpu_s, pictures FROM spending_kept "
            "WHERE user_id = ?1 AND at > ?2 AND (?3 IS NULL OR guild_id = ?3) ORDER BY 1",
            (user_id, since, guild_id),
        )
        uses: list[tuple[float, int, float]] = []
        waiting = 0
        for row in rows:
            open_now = row["status"] in ("queued", "assigned")
            waiting += open_now
            seconds = row["run_s"] if row["run_s"] is not None else 0.0
            if open_now:
                seconds = self._estimate_s(row["model"], row["work_units"]) or 0.0
            uses.append((row["created_at"], int(row["pictures"]), float(seconds)))
        return Spent(tuple(uses), waiting)
