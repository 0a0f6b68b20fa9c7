"""Whose pictures somebody may look at: their own everywhere, a member's where they look after the server."""

from __future__ import annotations

import discord

from bot.domain.history import Desk
from bot.domain.ids import UserId
from bot.errors import UserFacingError
from bot.storage.history import Span
from bot.ui.client import Interaction

__all__ = ["manages_here", "moderates", "span_of"]


def manages_here(interaction: Interaction) -> bool:
    return interaction.guild_id is not None and interaction.permissions.manage_guild


def moderates(interaction: Interaction, channel_id: int) -> bool:
    """May manage messages in that channel of this server."""
    guild, member = interaction.guild, interaction.user
    channel = guild.get_channel_or_thread(channel_id) if guild is not None else None
    return (
        channel is not None and isinstance(member, discord.Member) and channel.permissions_for(member).manage_messages
    )


def span_of(interaction: Interaction, desk: Desk) -> Span:
    """Rights are looked at each time: whoever looks after a server no longer sees its members' pictures no longer.

    Raises UserFacingError: `history_members_need_server`, `history_members_not_allowed`.
    """
    viewer = UserId(interaction.user.id)
    if desk.member is None:
        return Span(viewer, viewer)
    guild = interaction.guild
    if guild is None or interaction.guild_id != desk.guild or not isinstance(interaction.user, discord.Member):
        raise UserFacingError("history_members_need_server")
    if not manages_here(interaction):
        raise UserFacingError("history_members_not_allowed")
    return Span(viewer, UserId(desk.member), guild.id, _seen_by(guild, interaction.user))


def _seen_by(guild: discord.Guild, member: discord.Member) -> frozenset[int]:
    """Private threads are nobody's public."""
    open_threads = [thread for thread in guild.threads if not thread.is_private()]
    return frozenset(
        channel.id for channel in (*guild.channels, *open_threads) if channel.permissions_for(member).view_channel
    )
