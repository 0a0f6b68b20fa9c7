"""What happens by itself and in time: deletions that are due, exports that are over, files and posts that may go."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from bot.studio.history.deleting import Deleting
from bot.studio.history.exporting import Exporting
from bot.studio.retention import Pruner
from bot.studio.starboard import Starboard

__all__ = ["Janitor"]

log = logging.getLogger(__name__)

EVERY_S = 60.0
SELDOM_S = 3600.0
"""For what looks at all old pictures, or asks Discord: room is not used up in minutes."""


class Janitor:
    def __init__(
        self,
        *,
        deleting: Deleting,
        exporting: Exporting,
        pruner: Pruner,
        starboard: Starboard,
        also: Sequence[Callable[[], Awaitable[object]]] = (),
    ) -> None:
        """`also` is done now and then."""
        self._often = (deleting.finish_due, exporting.sweep)
        self._seldom = (pruner.run, starboard.sweep, *also)
        self._seldom_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="janitor")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def round(self) -> None:
        """Each part for itself: trouble of one is not the others'."""
        now = time.monotonic()
        seldom = self._seldom_at is None or now - self._seldom_at >= SELDOM_S
        if seldom:
            self._seldom_at = now
        for part in (*self._often, *(self._seldom if seldom else ())):
            try:
                await part()
            except Exception:
                log.exception("the janitor goes on with the next thing")

    async def _work(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(EVERY_S)
