"""An answer that only the user sees, whatever state the interaction is in."""

from __future__ import annotations

import contextlib

import discord

from bot.ui.client import Interaction

__all__ = ["HIDDEN", "answer_hidden"]

HIDDEN = "pincel_hidden"
"""In `interaction.extras`: the answer that was deferred is for the user alone."""


async def answer_hidden(interaction: Interaction, view: discord.ui.LayoutView) -> int | None:
    """Id of the message. Raises discord.HTTPException."""
    response = interaction.response
    if not response.is_done():
        return (await response.send_message(view=view, ephemeral=True)).message_id
    if interaction.extras.get(HIDDEN):
        return (await interaction.edit_original_response(view=view)).id
    if response.type is discord.InteractionResponseType.deferred_channel_message:
        # Everybody sees that something waits here, and a follow-up would fill it; so it is ended first.
        with contextlib.suppress(discord.HTTPException):
            await interaction.edit_original_response(content="🔒")
            await interaction.delete_original_response()
    return (await interaction.followup.send(view=view, ephemeral=True, wait=True)).id
