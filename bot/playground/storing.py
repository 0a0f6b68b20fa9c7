"""Writes what changed: one call after each request, in order, then removes files nobody refers to."""

from __future__ import annotations

import asyncio

from bot.playground.cdn import DiskCdn
from bot.playground.records import Records
from bot.playground.world import World

__all__ = ["Storing"]


class Storing:
    def __init__(self, world: World, records: Records, cdn: DiskCdn) -> None:
        self._world = world
        self._records = records
        self._cdn = cdn

    async def save(self) -> None:
        """Returns when every change made so far, by anybody, is safe from a killed process."""
        records, released = self._world.take_changes()
        # Even with nothing of its own to write a request waits for writes in flight: they may be what it has seen.
        await self._records.write(records)
        if released:
            await asyncio.to_thread(self._cdn.remove, released)
