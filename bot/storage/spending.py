"""What somebody has used of their quotas: read off the jobs themselves, so a crash loses none of it, and what failed or
was cancelled is given back by that alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from bot.domain.job import Action
from bot.domain.safety.limits import DAY_S, Spent
from bot.storage.database import Database

__all__ = ["COUNTED_JOBS", "PICTURES_OF_JOB", "Spending"]

COUNTED_JOBS = (
    "(status NOT IN ('failed', 'cancelled') OR (status = 'cancelled' AND action = 'train' AND run_s > 0)) "
    "AND action != 'test' "
    "AND json_extract(spec, '$.kind') NOT IN ('convert', 'merge', 'bake') AND lane != 'script'"
)
"""Of `jobs`: what counts at all. Admins' tests and work on model files do not, nor a script beside its sheets. A
training that was cancelled keeps what it saved, so it counts as long as it ran."""
PICTURES_OF_JOB = (
    "CASE json_extract(spec, '$.kind') WHEN 'describe' THEN 0 WHEN 'caption' THEN 0 WHEN 'train' THEN 0 "
    "WHEN 'sheet' THEN iif(status IN ('queued', 'assigned'), json_array_length(spec, '$.cells'), 0) "
    "WHEN 'ultimate' THEN iif(json_extract(spec, '$.seams') = 'none', 1, "
    "json_extract(spec, '$.keep_upscaled') + json_extract(spec, '$.keep_mended')) "
    "ELSE coalesce(json_extract(spec, '$.count'), 1) END"
)
"""Looking at a picture draws none. A sheet's are promised as long as it waits; each that was drawn is a job's own."""
_BESIDE = (Action.TRAIN, Action.SAMPLE)


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
            "SELECT created_at, status, model, action, work_units, run_s, coalesce(script_id, id) AS request, "  # noqa: S608
            f"place, {PICTURES_OF_JOB} AS pictures FROM jobs "
            f"WHERE user_id = ?1 AND created_at > ?2 AND (?3 IS NULL OR guild_id = ?3) AND {COUNTED_JOBS} "
            "UNION ALL SELECT at, 'delivered', '', '', 0, gpu_s, NULL, NULL, pictures FROM spending_kept "
            "WHERE user_id = ?1 AND at > ?2 AND (?3 IS NULL OR guild_id = ?3) ORDER BY 1",
            (user_id, since, guild_id),
        )
        uses: list[tuple[float, int, float]] = []
        waiting: set[str] = set()
        asked_at: float | None = None
        for row in rows:
            open_now = row["status"] in ("queued", "assigned")
            # A training, which may take days, and what it draws by itself keep nobody from drawing.
            waiting |= {row["request"]} if open_now and row["action"] not in _BESIDE else set()
            seconds = row["run_s"] if row["run_s"] is not None else 0.0
            if open_now:
                seconds = max(seconds, self._estimate_s(row["model"], row["work_units"]) or 0.0)
            uses.append((row["created_at"], int(row["pictures"]), float(seconds)))
            asked = row["place"] is None and row["action"] != Action.SAMPLE
            asked_at = row["created_at"] if asked else asked_at
        return Spent(tuple(uses), len(waiting), asked_at)
