"""How long jobs waited, ran, and were on their way to their user: what is counted of one that has ended."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.ids import JobId
from bot.storage.database import Database

__all__ = ["JobTime", "JobTimes"]


@dataclass(frozen=True, slots=True)
class JobTime:
    """All in seconds; None where there is no such thing."""

    lane: str
    status: str
    failure_kind: str | None
    waited_s: float | None
    """Until a worker was given it for the first time."""
    run_s: float | None
    delivery_s: float | None
    """From its end until its user could see it."""


class JobTimes:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def of(self, job_id: JobId) -> JobTime | None:
        row = await self._db.one(
            "SELECT lane, status, failure_kind, run_s, told_at - finished_at AS delivery_s, "
            "(SELECT MIN(started_at) FROM attempts WHERE job_id = jobs.id) - created_at AS waited_s "
            "FROM jobs WHERE id = ?",
            (job_id,),
        )
        if row is None:
            return None
        return JobTime(
            row["lane"], row["status"], row["failure_kind"], _not_negative(row["waited_s"]), row["run_s"],
            _not_negative(row["delivery_s"]),
        )  # fmt: skip


def _not_negative(seconds: float | None) -> float | None:
    """A machine's clock may be set back between two of its readings."""
    return None if seconds is None else max(0.0, seconds)
