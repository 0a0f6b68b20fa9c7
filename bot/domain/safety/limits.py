"""How much one person may ask for, by server and role.

Of a member's roles that say something about a limit the most generous counts, and goes before the server's own value,
as with Discord's permissions: a role can give more (supporters) and, where it is the only one, less (newcomers). What
the operator sets for everybody (server 0) is a ceiling beside it: nobody gets past the stricter of the two.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

__all__ = ["DAY_S", "PLAIN", "RANGES", "Exceeded", "Limit", "LimitTable", "Spent", "Wanted", "effective", "exceeded"]

DAY_S = 24 * 3600.0
"""Quotas look back a whole day from now, so nothing is lost or won at midnight, wherever somebody lives."""


class Limit(enum.StrEnum):
    PICTURES = "pictures"
    """in a day"""
    GPU_S = "gpu_s"
    """seconds of drawing in a day"""
    JOBS = "jobs"
    """waiting or running at a time"""
    COOLDOWN_S = "cooldown_s"
    """seconds between two requests"""
    SIDE_PX = "side_px"
    """the longer side of a finished picture"""
    STEPS = "steps"
    COUNT = "count"
    """pictures in one request"""


RANGES: Mapping[Limit, tuple[int, int]] = {
    Limit.PICTURES: (0, 100_000),
    Limit.GPU_S: (0, 86_400),
    Limit.JOBS: (1, 1000),
    Limit.COOLDOWN_S: (0, 86_400),
    Limit.SIDE_PX: (64, 8192),
    Limit.STEPS: (1, 150),
    Limit.COUNT: (1, 16),
}
"""What may be set; a quota of 0 closes drawing to whom it is for."""

PLAIN = 0
"""Stands for the server itself among its roles; no snowflake is 0."""

LimitTable = Mapping[int, Mapping[Limit, int]]
"""By role, with `PLAIN` for everybody."""


def effective(table: LimitTable, role_ids: Collection[int]) -> dict[Limit, int]:
    """A member's limits; what is not in it is not limited."""
    found: dict[Limit, int] = {}
    for limit in Limit:
        said = [table[role][limit] for role in role_ids if role in table and limit in table[role]]
        if said:
            found[limit] = min(said) if limit is Limit.COOLDOWN_S else max(said)
        elif limit in table.get(PLAIN, {}):
            found[limit] = table[PLAIN][limit]
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for now. `gpu_s` is an estimate, 0 where nothing was learnt yet."""

    pictures: int
    gpu_s: float
    side_px: int
    steps: int
    count: int | None = None
    """What `Limit.COUNT` is about, where that is not all of them: a grid's cells are requests of one picture each."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked for in the last day and neither failed nor was cancelled: those are given back."""

    uses: tuple[tuple[float, int, float], ...] = ()
    """When (Unix seconds), pictures, seconds of drawing; oldest first."""
    waiting: int = 0
    asked_at: float | None = None
    """When the last of it was asked for, where not all uses say that: a grid's cells are there once they are drawn."""

    @property
    def pictures(self) -> int:
        return sum(count for _, count, _ in self.uses)

    @property
    def gpu_s(self) -> float:
        return sum(seconds for _, _, seconds in self.uses)

    @property
    def last_at(self) -> float | None:
        return self.asked_at if self.asked_at is not None or not self.uses else self.uses[-1][0]

    def room_at(self, limit: Limit, allowed: int, needed: float) -> float | None:
        """When so much of a day's quota is free again; None where it never is, because more is asked than it holds."""
        if needed > allowed:
            return None
        over = (self.pictures if limit is Limit.PICTURES else self.gpu_s) + needed - allowed
        for at, count, seconds in self.uses:
            if over <= 0:
                break
            over -= count if limit is Limit.PICTURES else seconds
            if over <= 0:
                return at + DAY_S
        return 0.0 if over <= 0 else None


@dataclass(frozen=True, slots=True)
class Exceeded:
    """`at` is when it is possible again (Unix seconds); None: not by waiting."""

    limit: Limit
    allowed: int
    at: float | None = None


def exceeded(limits: Mapping[Limit, int], spent: Spent, wanted: Wanted, now: float) -> Exceeded | None:
    """The first limit that stands against it: those that waiting does not help first."""
    count = wanted.pictures if wanted.count is None else wanted.count
    for limit, value in ((Limit.COUNT, count), (Limit.STEPS, wanted.steps), (Limit.SIDE_PX, wanted.side_px)):
        if limit in limits and value > limits[limit]:
            return Exceeded(limit, limits[limit])
    if Limit.JOBS in limits and spent.waiting >= limits[Limit.JOBS]:
        return Exceeded(Limit.JOBS, limits[Limit.JOBS])
    for limit, needed in ((Limit.PICTURES, float(wanted.pictures)), (Limit.GPU_S, wanted.gpu_s)):
        if limit not in limits:
            continue
        used = spent.pictures if limit is Limit.PICTURES else spent.gpu_s
        # Of seconds a request may go over by its own estimate, a guess: else a small quota could never be used.
        full = used + needed > limits[limit] if limit is Limit.PICTURES else used >= limits[limit]
        if full:
            room = needed if limit is Limit.PICTURES else 1.0
            return Exceeded(limit, limits[limit], spent.room_at(limit, limits[limit], room))
    cooldown = limits.get(Limit.COOLDOWN_S, 0)
    if cooldown and spent.last_at is not None and spent.last_at + cooldown > now:
        return Exceeded(Limit.COOLDOWN_S, cooldown, spent.last_at + cooldown)
    return None
