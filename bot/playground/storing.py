"""Writes what changed: one call after each request, in order, then removes files nobody refers to."""

from __future__ import annotations

import asyncio
import sqlite3

from bot.playground.cdn import DiskCdn
from bot.playground.records import Record, Records
from bot.playground.world import World

__all__ = ["Storing", "StoringError"]


class StoringError(Exception):
    """The disk refused; the change stays in memory and is written with the next one that succeeds."""


class Storing:
    def __init__(self, world: World, records: Records, cdn: DiskCdn) -> None:
        self._world = world
        self._records = records
        self._cdn = cdn
        self._unsaved: list[Record] = []

    async def save(self) -> None:
        """Returns when everything changed so far by this caller is safe from a killed process; raises StoringError."""
        records, released = self._world.take_changes()
        batch, self._unsaved = [*self._unsaved, *records], []
        try:
            await self._records.write(batch)
        except sqlite3.Error as error:
            self._unsaved = [*batch, *self._unsaved]
            raise StoringError(str(error)) from error
        if released:
            await asyncio.to_thread(self._cdn.remove, released)
