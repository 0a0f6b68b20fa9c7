"""How answers to /model-admin are given."""

from __future__ import annotations

import discord

from bot.i18n import Texts, texts_for
from bot.ui.client import Interaction

__all__ = ["answer", "texts_of", "wait"]


def texts_of(interaction: Interaction) -> Texts:
    return texts_for(str(interaction.locale))


async def wait(interaction: Interaction) -> None:
    """Before whatever waits for other changes of files: those may move gigabytes, and Discord waits three seconds."""
    await interaction.response.defer(ephemeral=True)


async def answer(interaction: Interaction, view: discord.ui.LayoutView) -> None:
    """For the asker's eyes alone."""
    if interaction.response.is_done():
        await interaction.followup.send(view=view, ephemeral=True)
    else:
        await interaction.response.send_message(view=view, ephemeral=True)
