"""Whether the bot can do its work just now: Discord, the database, somebody who draws."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import cast

import discord

from bot.delivery.machine import Machine, MachineState
from bot.storage.database import StorageFullError
from bot.storage.facts import Facts

__all__ = ["Readiness", "gateway_closed"]

log = logging.getLogger(__name__)

WRITE_FRESH_S = 15.0
"""A probe writes to the disk at most so often, however often somebody asks."""
WRITE_LIMIT_S = 5.0
_WROTE = "health:written"


def gateway_closed(client: discord.Client) -> str | None:
    """Why the gateway counts as not connected; None where it is."""
    if client.is_closed():
        return "closed"
    if not client.is_ready():
        return "connecting"
    shards = client.shards if isinstance(client, discord.AutoShardedClient) else {}
    closed = sum(shard.is_closed() for shard in shards.values())
    return f"{closed} of {len(shards)} shards are away" if closed else None


class Readiness:
    def __init__(
        self,
        *,
        client: discord.Client,
        facts: Facts,
        machine: Machine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._facts = facts
        self._machine = machine
        self._clock = clock
        self._turn = asyncio.Lock()
        self._wrote: tuple[float, str | None] | None = None

    async def reasons(self) -> dict[str, str | None]:
        """What is looked at, each with why it is not ready, in words for programs; None where it is."""
        state = self._machine.state
        return {
            "gateway": gateway_closed(self._client),
            "database": await self._unwritable(),
            "worker": None if state is MachineState.READY else cast("str", state.value),
        }

    async def _unwritable(self) -> str | None:
        async with self._turn:
            now = self._clock()
            if self._wrote is None or now - self._wrote[0] >= WRITE_FRESH_S:
                self._wrote = (now, await self._try_to_write())
            return self._wrote[1]

    async def _try_to_write(self) -> str | None:
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                await self._facts.put(_WROTE, str(round(time.time())))
        except TimeoutError:
            return "busy"
        except StorageFullError:
            return "full"
        except (sqlite3.Error, ValueError) as error:  # aiosqlite's, of a connection that is closed
            log.warning("the database cannot be written: %s", error)
            return "unwritable"
        return None
