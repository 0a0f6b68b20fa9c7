"""Who used the machine, when and how long. Every query works on a period and on one server or all.

`Usage` answers the small questions on the bot's own connection; `read_usage` reads a whole report on a connection of
its own, for a thread: a year of jobs takes a second, and nobody else's read may wait for it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from bot.storage.database import Database

__all__ = ["DayUse", "FailureUse", "ModelUse", "ServerUse", "Usage", "UsageReport", "UserUse", "read_usage", "reading"]

DAY_S = 86_400
BUSY_MS = 5000
WAITS_KEPT = 200_000
"""Waiting times that percentiles are taken from at most: the newest."""
_JOBS, _FAILED = "sum(script_id IS NULL)", "sum(status = 'failed' AND script_id IS NULL)"
"""Of `jobs`: what people asked for."""


@dataclass(frozen=True, slots=True)
class DayUse:
    day: int
    """Days since 1970 (UTC)."""
    jobs: int
    pictures: int
    failed: int
    cancelled: int
    gpu_s: float
    wait_p50_s: float | None
    """From asking until drawing began; None where nothing was drawn. Trainings, which make way, are left out."""
    wait_p90_s: float | None
    wait_p99_s: float | None


@dataclass(frozen=True, slots=True)
class UserUse:
    user_id: int
    jobs: int
    pictures: int
    failed: int
    gpu_s: float


@dataclass(frozen=True, slots=True)
class ServerUse:
    guild_id: int
    """0: direct messages."""
    jobs: int
    gpu_s: float


@dataclass(frozen=True, slots=True)
class ModelUse:
    model: str
    jobs: int
    gpu_s: float


@dataclass(frozen=True, slots=True)
class FailureUse:
    kind: str
    jobs: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    since: float
    until: float
    days: tuple[DayUse, ...]
    """Every day of the period, also those on which nothing happened."""
    users: tuple[UserUse, ...]
    """By GPU time, most first."""
    models: tuple[ModelUse, ...]
    failures: tuple[FailureUse, ...]
    wait_p50_s: float | None
    wait_p90_s: float | None
    wait_p99_s: float | None
    servers: tuple[ServerUse, ...] = ()

    @property
    def pictures(self) -> int:
        return sum(day.pictures for day in self.days)

    @property
    def gpu_s(self) -> float:
        return sum(day.gpu_s for day in self.days)

    @property
    def failed(self) -> int:
        return sum(day.failed for day in self.days)

    @property
    def jobs(self) -> int:
        return sum(day.jobs for day in self.days)


class Usage:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def busiest(self, since: float, guild_id: int | None, limit: int = 5) -> list[tuple[int, float]]:
        """Users by the GPU seconds of what has ended since then."""
        where, values = _place(guild_id)
        rows = await self._db.all(
            "SELECT user_id, sum(run_s) AS used FROM jobs WHERE finished_at > ? AND run_s > 0 "  # noqa: S608 - ours
            f"{where} GROUP BY user_id ORDER BY used DESC LIMIT ?",
            (since, *values, limit),
        )
        return [(row["user_id"], float(row["used"])) for row in rows]


def reading(path: Path) -> sqlite3.Connection:
    """A connection that can change nothing, for one thread; to be closed by the caller."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_MS / 1000)
    connection.row_factory = sqlite3.Row
    return connection


def read_usage(path: Path, since: float, until: float, guild_id: int | None) -> UsageReport:
    """Jobs, and their pictures, count by when they ended. A script is one job; its pictures are its cells, its time is
    that of its sheets. Blocks; for a thread."""
    where, values = _place(guild_id)
    period = (since, until, *values)
    connection = reading(path)
    try:
        connection.execute("BEGIN")  # one snapshot for all of it
        # By the end of their jobs, which is when they were made: that has an index, and their own date has none.
        made_by: dict[int, int] = {}
        made_on: dict[int, int] = {}
        for day, user_id, count in connection.execute(
            f"SELECT cast(j.finished_at / {DAY_S} AS INTEGER), j.user_id, count(*) FROM jobs j "  # noqa: S608
            "JOIN images i ON i.job_id = j.id WHERE j.finished_at >= ? AND j.finished_at < ? AND j.lane != 'script' "
            f"{where.replace('guild_id', 'j.guild_id')} GROUP BY 1, 2",
            period,
        ):
            made_on[day] = made_on.get(day, 0) + count
            made_by[user_id] = made_by.get(user_id, 0) + count
        ended = f"FROM jobs WHERE finished_at >= ? AND finished_at < ? {where}"
        totals = {
            row[0]: row
            for row in connection.execute(
                f"SELECT cast(finished_at / {DAY_S} AS INTEGER), {_JOBS}, {_FAILED}, "
                f"sum(status = 'cancelled' AND script_id IS NULL), sum(coalesce(run_s, 0)) {ended} GROUP BY 1",
                period,
            )
        }
        waits: dict[int, list[float]] = {}
        for row in connection.execute(
            f"SELECT cast(finished_at / {DAY_S} AS INTEGER), max(0.0, finished_at - run_s - created_at) {ended} "
            "AND run_s IS NOT NULL AND script_id IS NULL AND lane != 'training' "
            "AND status NOT IN ('failed', 'cancelled') ORDER BY finished_at DESC LIMIT ?",
            (*period, WAITS_KEPT),
        ):
            waits.setdefault(row[0], []).append(float(row[1]))
        users = [
            UserUse(r[0], r[1], made_by.get(r[0], 0), r[2], float(r[3]))
            for r in connection.execute(
                f"SELECT user_id, {_JOBS}, {_FAILED}, sum(coalesce(run_s, 0)) {ended} GROUP BY 1 "
                "ORDER BY 4 DESC, 2 DESC, 1",
                period,
            )
        ]
        models = [
            ModelUse(r[0], r[1], float(r[2]))
            for r in connection.execute(
                f"SELECT model, {_JOBS}, sum(coalesce(run_s, 0)) {ended} GROUP BY 1 ORDER BY 3 DESC, 2 DESC, 1",
                period,
            )
        ]
        servers = [
            ServerUse(r[0], r[1], float(r[2]))
            for r in connection.execute(
                f"SELECT coalesce(guild_id, 0), {_JOBS}, sum(coalesce(run_s, 0)) {ended} GROUP BY 1 "
                "ORDER BY 3 DESC, 2 DESC, 1",
                period,
            )
        ]
        failures = [
            FailureUse(r[0], r[1])
            for r in connection.execute(
                f"SELECT coalesce(failure_kind, 'other'), count(*) {ended} AND status = 'failed' AND script_id IS NULL "
                "GROUP BY 1 ORDER BY 2 DESC, 1",
                period,
            )
        ]
    finally:
        connection.close()
    days: list[DayUse] = []
    for day in range(int(since // DAY_S), int((until - 1) // DAY_S) + 1):
        _, jobs, failed, cancelled, gpu_s = totals.get(day, (day, 0, 0, 0, 0.0))
        days.append(
            DayUse(day, jobs, made_on.get(day, 0), failed, cancelled, float(gpu_s), *_marks(waits.get(day, [])))
        )
    everything = [wait for waited in waits.values() for wait in waited]
    marks = _marks(everything)
    return UsageReport(
        since, until, tuple(days), tuple(users), tuple(models), tuple(failures), *marks, servers=tuple(servers)
    )


def _place(guild_id: int | None) -> tuple[str, tuple[int, ...]]:
    """The same text for every query, so nothing of a user's ever stands in one."""
    return ("", ()) if guild_id is None else ("AND guild_id = ?", (guild_id,))


def _marks(waits: list[float]) -> tuple[float | None, float | None, float | None]:
    """The 50th, 90th and 99th percentile (nearest rank)."""
    if not waits:
        return None, None, None
    ordered = sorted(waits)
    p50, p90, p99 = (ordered[max(0, -(-len(ordered) * share // 100) - 1)] for share in (50, 90, 99))
    return p50, p90, p99
