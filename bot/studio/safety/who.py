"""Who moderates: may time members out, or manages the messages of the whole server, or the server."""

from __future__ import annotations

import discord

from bot.ui.client import Interaction

__all__ = ["is_safety_moderator"]


def is_safety_moderator(interaction: Interaction) -> bool:
    """Whoever manages the messages of one channel alone has no say over members, words and appeals everywhere."""
    if interaction.guild_id is None:
        return False
    may, user = interaction.permissions, interaction.user
    in_all = isinstance(user, discord.Member) and user.guild_permissions.manage_messages
    return may.moderate_members or may.manage_guild or in_all
