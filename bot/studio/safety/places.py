"""What Discord says of a place: whether it is age-restricted, and whether adult content may stand there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import discord

from bot.domain.job import Job
from bot.domain.model_rules import Where
from bot.domain.safety.rules import in_places
from bot.storage.server_rules import ServerRuleBook

__all__ = ["Places"]

ASKED_KEPT = 500
ASKED_FOR_S = 60.0
"""What was asked for counts so long: nothing tells of its changes."""


@dataclass(frozen=True, slots=True)
class _Channel:
    restricted: bool
    parent_id: int | None
    seen_at: float


class Places:
    def __init__(self, client: discord.Client, rules: ServerRuleBook, classifier: Callable[[], bool]) -> None:
        """`classifier` says whether something looks at pictures."""
        self._client = client
        self._rules = rules
        self._classifier = classifier
        self._asked: dict[int, _Channel] = {}
        """Channels that the gateway has not told us of."""

    @property
    def classified(self) -> bool:
        return self._classifier()

    async def where_of_job(self, job: Job) -> Where:
        """Without its user's roles, which nothing about places needs. A thread may be out of the client's sight, and
        right after a start, when results of the last life are brought, every channel is: those in which an admin may
        have allowed adult content are asked for. Raises OSError where Discord cannot be asked now."""
        if job.guild_id is not None and self._rules.of(job.guild_id).adult_channels:
            found = await self._known(job.channel_id)
            if found is not None and found.parent_id is not None:
                await self._known(found.parent_id)
        found = self._seen(job.channel_id)
        return Where(job.guild_id, job.channel_id, frozenset(), job.user_id, found.parent_id if found else None)

    def age_restricted(self, where: Where) -> bool:
        """Discord keeps the flag on the channel that a thread or forum post is in, not on the thread itself. What is
        not known, and direct messages, are not."""
        if where.guild_id is None or where.channel_id is None:
            return False
        found = self._seen(where.channel_id)
        parent_id = where.parent_id if found is None else found.parent_id
        if parent_id is not None:
            found = self._seen(parent_id)
        return found is not None and found.restricted

    def adult_place(self, where: Where) -> bool:
        """Where Discord asks for a member's age, and an admin said yes."""
        if where.guild_id is None:
            return False
        return in_places(self._rules.of(where.guild_id).adult_channels, where) and self.age_restricted(where)

    def adult_allowed(self, where: Where) -> bool:
        """There, and only while a classifier looks at every picture: what may be asked for."""
        return self._classifier() and self.adult_place(where)

    def _seen(self, channel_id: int) -> _Channel | None:
        channel = self._client.get_channel(channel_id)
        if channel is not None:
            return _facts(channel)
        found = self._asked.get(channel_id)
        return found if found is not None and time.monotonic() - found.seen_at < ASKED_FOR_S else None

    async def _known(self, channel_id: int) -> _Channel | None:
        found = self._seen(channel_id)
        if found is not None:
            return found
        try:
            channel = await self._client.fetch_channel(channel_id)
        except (discord.NotFound, discord.Forbidden, discord.InvalidData):
            return None
        except (discord.HTTPException, aiohttp.ClientError) as error:
            raise OSError(f"channel {channel_id} cannot be asked for now: {error}") from error
        while len(self._asked) >= ASKED_KEPT:
            self._asked.pop(next(iter(self._asked)))
        self._asked[channel_id] = _facts(channel)
        return self._asked[channel_id]


def _facts(channel: object) -> _Channel:
    if isinstance(channel, discord.Thread):
        return _Channel(False, channel.parent_id, time.monotonic())
    return _Channel(bool(getattr(channel, "nsfw", False)), None, time.monotonic())
