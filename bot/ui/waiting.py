"""Answers that wait in everybody's sight ("is thinking"). Whatever follows fills them, so what is meant for one person
alone needs them gone first."""

from __future__ import annotations

import contextlib

import discord

from bot.ui.client import Interaction

__all__ = ["answered", "take_back", "waits", "waits_in_sight"]

_WAITS = "pincel_waits"
"""In `interaction.extras`."""


def waits_in_sight(interaction: Interaction) -> None:
    """It was acknowledged for everybody, and nothing was said yet."""
    interaction.extras[_WAITS] = True


def answered(interaction: Interaction) -> None:
    """What waited has become the answer and stays, whatever fails afterwards."""
    interaction.extras.pop(_WAITS, None)


def waits(interaction: Interaction) -> bool:
    return bool(interaction.extras.get(_WAITS))


async def take_back(interaction: Interaction) -> None:
    """Ends the waiting answer. Never raises for Discord."""
    answered(interaction)
    with contextlib.suppress(discord.HTTPException):
        await interaction.edit_original_response(content="⚠️")
        await interaction.delete_original_response()
