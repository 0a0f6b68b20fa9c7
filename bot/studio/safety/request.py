"""What every check at the door of a new job is told, and the door itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from bot.domain.content import require_allowed
from bot.domain.ids import UserId
from bot.domain.job import Action, JobTask
from bot.domain.model_rules import Where
from bot.domain.safety.texts import steering_of

__all__ = ["Door", "JobCheck", "JobRequest", "SafetyDoor", "TextsOnly"]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Somebody asks for a job."""

    user_id: UserId
    task: JobTask
    action: Action
    where: Where
    locale: str


class JobCheck(Protocol):
    async def require(self, request: JobRequest) -> None:
        """Raises UserFacingError."""
        ...


class Door(Protocol):
    async def require(self, request: JobRequest) -> None:
        """Whether it may be asked for at all. Raises UserFacingError."""
        ...

    def turn(self, request: JobRequest) -> contextlib.AbstractAsyncContextManager[None]:
        """Entered right before the job is committed, left afterwards: one person's requests are counted one after
        the other. Raises UserFacingError where it is too much now."""
        ...


class SafetyDoor:
    """`rules` in their order, then, in the turn, `amounts`."""

    def __init__(self, rules: Sequence[JobCheck], amounts: Sequence[JobCheck]) -> None:
        self._rules = rules
        self._amounts = amounts
        self._turns: WeakValueDictionary[UserId, asyncio.Lock] = WeakValueDictionary()

    async def require(self, request: JobRequest) -> None:
        for check in self._rules:
            await check.require(request)

    @contextlib.asynccontextmanager
    async def turn(self, request: JobRequest) -> AsyncGenerator[None]:
        lock = self._turns.setdefault(request.user_id, asyncio.Lock())
        async with lock:
            for check in self._amounts:
                await check.require(request)
            yield


class TextsOnly:
    """The door where nothing else is wired: the content rules alone."""

    async def require(self, request: JobRequest) -> None:
        steering = steering_of(request.task)
        for text in dict.fromkeys((*steering.parts, *steering.whole)):
            await asyncio.to_thread(require_allowed, text)

    @contextlib.asynccontextmanager
    async def turn(self, request: JobRequest) -> AsyncGenerator[None]:
        yield
