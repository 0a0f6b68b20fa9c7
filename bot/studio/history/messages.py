"""Whether messages still exist, so that no link leads nowhere: Discord is asked, and remembered for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

import aiohttp
import discord

from bot.domain.ids import ChannelId, GuildId, MessageId

__all__ = ["MessageSight", "Place"]

WITHIN_S = 1.5
"""A page must not wait long for its links; what Discord does not answer in time counts as being there."""
REMEMBERED_S = 600.0
REMEMBERED_MAX = 5000

Place = tuple[GuildId | None, ChannelId, MessageId]


class MessageSight:
    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._known: dict[MessageId, tuple[float, bool]] = {}

    async def gone(self, places: Collection[Place]) -> frozenset[MessageId]:
        """Those that are surely deleted. Never raises."""
        now = time.monotonic()
        asked = [place for place in places if now - self._known.get(place[2], (-REMEMBERED_S, True))[0] >= REMEMBERED_S]
        tasks = [asyncio.create_task(self._ask(place), name="message-sight") for place in asked]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=WITHIN_S)
            for task in late:
                task.cancel()
        return frozenset(place[2] for place in places if not self._known.get(place[2], (now, True))[1])

    async def _ask(self, place: Place) -> None:
        guild_id, channel_id, message_id = place
        channel = self._client.get_partial_messageable(channel_id, guild_id=guild_id)
        try:
            await channel.fetch_message(message_id)
            there = True
        except discord.NotFound:
            there = False
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            return  # no access, or trouble: nothing is known
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[message_id] = (time.monotonic(), there)
