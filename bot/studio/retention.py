"""Takes the files of old pictures where the operator or a server says so. What is taken is drawn again on demand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from bot.storage.images import Images
from bot.storage.retention import Prunable, Retention

__all__ = ["Pruner"]

log = logging.getLogger(__name__)

BATCH = 50
PAUSE_S = 0.2
"""Between two batches, so that taking ten thousand files is in nobody's way."""
STEPS_MAX = 100
"""Of one run; the next goes on."""


class Pruner:
    def __init__(self, retention: Retention, images: Images, *, keep_days: int | None, keep_gb: float | None) -> None:
        self._retention = retention
        self._images = images
        self._days = keep_days
        self._limit = None if keep_gb is None else keep_gb * 1e9

    async def run(self) -> int:
        """Takes what is due, a bounded number of pictures; returns how many. A crash in between loses nothing."""
        count = freed = 0
        for _ in range(STEPS_MAX):
            due = await self._due()
            if not due:
                break
            await asyncio.to_thread(self._unlink, due)
            # Afterwards: a row that says a file is there, and it is not, is a case that everything here knows.
            await self._retention.pruned(due)
            count += len(due)
            freed += sum(image.size_bytes for image in due)
            await asyncio.sleep(PAUSE_S)
        if count:
            log.info("%s old pictures lost their files, %.1f MB", count, freed / 1e6)
        return count

    async def _due(self) -> Sequence[Prunable]:
        old = await self._retention.too_old(self._days, BATCH)
        if old or self._limit is None:
            return old
        over = await self._retention.total_bytes() - self._limit
        due: list[Prunable] = []
        if over > 0:
            for image in await self._retention.oldest(BATCH):
                if over <= 0:
                    break
                due.append(image)
                over -= image.size_bytes
        return due

    def _unlink(self, due: Sequence[Prunable]) -> None:
        for image in due:
            try:
                self._images.file_at(image.path).unlink(missing_ok=True)
            except OSError:  # Windows refuses while somebody has it open
                log.exception("the old picture %s could not be removed; remove it by hand", image.path)
