"""The message below which something was pressed or filled in, drawn anew; where it is gone, its user gets a new one.

A form stays open while its message is deleted, and whoever sees a private answer can dismiss it. Discord then sends the
form without a message, and takes no answer that would change one.
"""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.ui.client import Interaction

__all__ = ["begin_redraw", "redraw"]


async def redraw(
    interaction: Interaction, view: discord.ui.LayoutView, files: Sequence[discord.File] | None = None
) -> None:
    """`files` None leaves those that the message has. After `begin_redraw`, or as the first answer."""
    attachments: Sequence[discord.File] = discord.utils.MISSING if files is None else files
    if interaction.response.is_done():
        await interaction.edit_original_response(view=view, attachments=attachments)
    elif interaction.message is not None:
        await interaction.response.edit_message(view=view, attachments=attachments)
    else:
        await interaction.response.send_message(view=view, files=files or (), ephemeral=True)


async def begin_redraw(interaction: Interaction) -> None:
    """First, where `redraw` may come late."""
    if not interaction.response.is_done():
        await interaction.response.defer(ephemeral=True, thinking=interaction.message is None)
