"""What every check at the door of a new job is told, and the door itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from bot.domain.content import require_allowed
from bot.domain.ids import ImageId, UserId
from bot.domain.job import Action, JobTask
from bot.domain.model_rules import Where
from bot.domain.safety.limits import Wanted
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
    wanted: Wanted | None = None
    """How much it is, where that is not read off the task: of a script, which its cells say."""


class JobCheck(Protocol):
    async def require(self, request: JobRequest) -> None:
        """Raises UserFacingError."""
        ...


class Seen(Protocol):
    async def veiled(self, image_ids: Collection[ImageId], where: Where) -> frozenset[ImageId]: ...


class Door(Protocol):
    async def require(self, request: JobRequest) -> None:
        """Whether it may be asked for at all. Raises UserFacingError."""
        ...

    def turn(self, request: JobRequest) -> contextlib.AbstractAsyncContextManager[None]:
        """Entered right before the job is committed, left afterwards: one person's requests are counted one after
        the other. Raises UserFacingError where it is too much now."""
        ...

    async def veiled(self, image_ids: Collection[ImageId], where: Where) -> frozenset[ImageId]:
        """Which of these kept pictures may not be seen there as they are."""
        ...


class SafetyDoor:
    """`rules` in their order, then, in the turn, `amounts`; `seen` says who may see what."""

    def __init__(self, rules: Sequence[JobCheck], amounts: Sequence[JobCheck], seen: Seen) -> None:
        self._seen = seen
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

    async def veiled(self, image_ids: Collection[ImageId], where: Where) -> frozenset[ImageId]:
        return await self._seen.veiled(image_ids, where)


class TextsOnly:
    """The door where nothing else is wired: the content rules alone."""

    async def veiled(self, image_ids: Collection[ImageId], where: Where) -> frozenset[ImageId]:
        return frozenset()

    async def require(self, request: JobRequest) -> None:
        steering = steering_of(request.task)
        for text in dict.fromkeys((*steering.parts, *steering.whole)):
            await asyncio.to_thread(require_allowed, text)

    @contextlib.asynccontextmanager
    async def turn(self, request: JobRequest) -> AsyncGenerator[None]:
        yield
