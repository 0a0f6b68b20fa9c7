"""What may be repeated in another channel: nobody must see there what they could not have seen where it was asked."""

from __future__ import annotations

from typing import Any, Protocol

import discord

__all__ = ["PromptSight"]


class _Channels(Protocol):
    def get_channel(self, id: int, /) -> Any: ...  # noqa: A002 - discord.Client's own name


class PromptSight:
    def __init__(self, client: _Channels) -> None:
        self._client = client

    def shows(self, asked_in: int, posted_in: int, channel_id: int) -> bool:
        """`asked_in` is the job's channel; it would be repeated in the channel `channel_id` of the server `posted_in`,
        or, where that is 0, in an operator's direct message. What is not known is not shown."""
        if posted_in == 0 or asked_in == channel_id:
            return True
        there, here = self._client.get_channel(asked_in), self._client.get_channel(channel_id)
        if there is None or here is None or (_restricted(there) and not _restricted(here)):
            return False
        return _seen_by(here, at_most=True) <= _seen_by(there, at_most=False)


def _restricted(channel: Any) -> bool:
    """Discord keeps the flag on the channel that a thread is in."""
    holder = channel.parent if isinstance(channel, discord.Thread) else channel
    return holder is None or bool(getattr(holder, "nsfw", False))


def _seen_by(channel: Any, *, at_most: bool) -> frozenset[int]:
    """Ids of the roles that see it; those that programs brought along say nothing about people. No role tells who is
    in a private thread: at most everybody who sees its channel, and nobody for sure."""
    if isinstance(channel, discord.Thread):
        if channel.parent is None or (channel.is_private() and not at_most):
            return frozenset()
        channel = channel.parent
    guild = getattr(channel, "guild", None)
    roles = guild.roles if guild is not None else ()
    return frozenset(role.id for role in roles if not role.managed and channel.permissions_for(role).view_channel)
