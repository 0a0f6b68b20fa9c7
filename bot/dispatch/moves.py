"""What an admin's move means to the policy. Pure; it sees candidates as bot/dispatch/policy.py does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol, TypeVar

from bot.domain.job import Lane
from bot.domain.queue_rules import Move

__all__ = ["held_back", "operator_front", "server_front"]

Draws = Callable[[str], bool]


class Movable(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def lane(self) -> Lane: ...
    @property
    def model(self) -> str: ...
    @property
    def guild_id(self) -> int | None: ...
    @property
    def joined_at(self) -> float: ...
    @property
    def moved(self) -> Move | None: ...


C = TypeVar("C", bound=Movable)


def operator_front(moved: Iterable[C], lanes: Collection[str], draws: Draws) -> C | None:
    """Before all lanes and shares: the one that was moved last."""
    fronts = [job for job in moved if job.moved is Move.FRONT and draws(job.model) and (not lanes or job.lane in lanes)]
    return max(fronts, key=lambda job: job.joined_at, default=None)


def server_front(moved: Iterable[C], chosen: C, draws: Draws) -> C | None:
    """Who takes the turn of `chosen`: the job of its lane and server that was moved last; None for nobody."""
    fronts = [
        job
        for job in moved
        if job.moved is Move.SERVER_FRONT
        and job.lane is chosen.lane
        and job.guild_id is not None
        and job.guild_id == chosen.guild_id
        and draws(job.model)
    ]
    return max(fronts, key=lambda job: job.joined_at, default=None)


def held_back(job: C, lane: Iterable[C], draws: Draws) -> bool:
    """Whether somebody of its lane, or of its server in it, was there before it was moved back and can be drawn.

    The one that joined first is never held back, so something can always go.
    """
    if job.moved is None or job.moved.to_front:
        return False
    return any(
        other.joined_at < job.joined_at
        and other.id != job.id
        and (not job.moved.server_only or other.guild_id == job.guild_id)
        and draws(other.model)
        for other in lane
    )
