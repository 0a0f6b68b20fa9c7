"""Who moderates: may time members out, or manages messages or the server."""

from __future__ import annotations

from bot.ui.client import Interaction

__all__ = ["is_safety_moderator"]


def is_safety_moderator(interaction: Interaction) -> bool:
    may = interaction.permissions
    return interaction.guild_id is not None and (may.moderate_members or may.manage_messages or may.manage_guild)
