"""Whose prompts a live panel may repeat: it must show nobody what they could not have read where it was asked."""

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
        """`asked_in` is the job's channel; the panel stands in the channel `channel_id` of the server `posted_in`, or,
        where that is 0, in an operator's direct message. What is not known is not shown."""
        if posted_in == 0 or asked_in == channel_id:
            return True
        there, here = self._client.get_channel(asked_in), self._client.get_channel(channel_id)
        if there is None or here is None or (_restricted(there) and not _restricted(here)):
            return False
        return not _open(here) or _open(there)


def _restricted(channel: Any) -> bool:
    """Discord keeps the flag on the channel that a thread is in."""
    holder = channel.parent if isinstance(channel, discord.Thread) else channel
    return holder is None or bool(getattr(holder, "nsfw", False))


def _open(channel: Any) -> bool:
    """Everybody of its server sees it."""
    if isinstance(channel, discord.Thread):
        if channel.is_private() or channel.parent is None:
            return False
        channel = channel.parent
    guild = getattr(channel, "guild", None)
    return guild is not None and bool(channel.permissions_for(guild.default_role).view_channel)
