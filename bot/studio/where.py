"""Where an interaction or a reaction comes from, as the rules of models see it."""

from __future__ import annotations

import discord

from bot.domain.model_rules import Where
from bot.ui.client import Interaction

__all__ = ["where_of", "where_of_reaction"]


def where_of(interaction: Interaction) -> Where:
    user = interaction.user
    roles = frozenset(role.id for role in user.roles) if isinstance(user, discord.Member) else frozenset[int]()
    return Where(
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        role_ids=roles,
        user_id=user.id,
        parent_id=getattr(interaction.channel, "parent_id", None),
    )


def where_of_reaction(event: discord.RawReactionActionEvent, client: discord.Client) -> Where:
    roles = frozenset(role.id for role in event.member.roles) if event.member is not None else frozenset[int]()
    channel = client.get_channel(event.channel_id)
    return Where(event.guild_id, event.channel_id, roles, event.user_id, getattr(channel, "parent_id", None))
