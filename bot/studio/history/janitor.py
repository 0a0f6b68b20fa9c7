"""What happens by itself and in time: deletions that are due, exports that are over, files that may go."""

from __future__ import annotations

import asyncio
import logging
import time

from bot.studio.history.deleting import Deleting
from bot.studio.history.exporting import Exporting
from bot.studio.retention import Pruner

__all__ = ["Janitor"]

log = logging.getLogger(__name__)

EVERY_S = 60.0
PRUNE_EVERY_S = 3600.0
"""It looks at all old pictures, and room is not used up in minutes."""


class Janitor:
    def __init__(self, *, deleting: Deleting, exporting: Exporting, pruner: Pruner) -> None:
        self._deleting = deleting
        self._exporting = exporting
        self._pruner = pruner
        self._pruned_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="janitor")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def round(self) -> None:
        """Each part for itself: trouble of one is not the others'."""
        for part in (self._deleting.finish_due, self._exporting.sweep, self._prune):
            try:
                await part()
            except Exception:
                log.exception("the janitor goes on with the next thing")

    async def _prune(self) -> None:
        now = time.monotonic()
        if self._pruned_at is None or now - self._pruned_at >= PRUNE_EVERY_S:
            self._pruned_at = now
            await self._pruner.run()

    async def _work(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(EVERY_S)
