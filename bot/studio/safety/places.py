"""What Discord says of a place: whether it is age-restricted, and whether adult content may stand there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import discord

from bot.domain.job import Job
from bot.domain.model_rules import Where
from bot.domain.safety.rules import in_places
from bot.storage.server_rules import ServerRuleBook

__all__ = ["Places"]


class _Channels(Protocol):
    def get_channel(self, id: int, /) -> object: ...  # noqa: A002 - discord.Client's own name


class Places:
    def __init__(self, client: _Channels, rules: ServerRuleBook, classifier: Callable[[], bool]) -> None:
        """`classifier` says whether something looks at pictures."""
        self._client = client
        self._rules = rules
        self._classifier = classifier

    @property
    def classified(self) -> bool:
        return self._classifier()

    def where_of_job(self, job: Job) -> Where:
        """Without its user's roles, which nothing about places needs."""
        parent = getattr(self._client.get_channel(job.channel_id), "parent_id", None)
        return Where(job.guild_id, job.channel_id, frozenset(), job.user_id, parent)

    def age_restricted(self, where: Where) -> bool:
        """Discord keeps the flag on the channel that a thread or forum post is in, not on the thread itself. What the
        client does not know, and direct messages, are not."""
        if where.guild_id is None:
            return False
        channel = self._client.get_channel(where.channel_id) if where.channel_id is not None else None
        parent_id = where.parent_id or getattr(channel, "parent_id", None)
        if isinstance(channel, discord.Thread) or (channel is None and parent_id is not None):
            channel = self._client.get_channel(parent_id) if parent_id is not None else None
        return bool(getattr(channel, "nsfw", False)) and getattr(channel, "guild", None) is not None

    def adult_allowed(self, where: Where) -> bool:
        """Only where a classifier looks at every picture, Discord asks for a member's age, and an admin said yes."""
        if where.guild_id is None or not self._classifier():
            return False
        return in_places(self._rules.of(where.guild_id).adult_channels, where) and self.age_restricted(where)
