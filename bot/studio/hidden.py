"""Answers that only the user sees, and answers that wait: given first, taken back where nothing comes of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import discord

from bot.errors import UserFacingError
from bot.storage.database import StorageFullError
from bot.ui.client import Interaction
from bot.ui.waiting import answered, take_back, waits_in_sight

__all__ = ["HIDDEN", "acknowledged", "answer_hidden", "take_back", "taken_back"]

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
        answered(interaction)
        with contextlib.suppress(discord.HTTPException):
            await interaction.edit_original_response(content="🔒")
            await interaction.delete_original_response()
    return (await interaction.followup.send(view=view, ephemeral=True, wait=True)).id


@contextlib.asynccontextmanager
async def acknowledged(interaction: Interaction, *, hidden: bool = False) -> AsyncGenerator[None]:
    """Answers first, for what may take longer than an answer may (`hidden`: what follows is for the user alone).
    Whatever the body refuses takes that back; an interaction that is answered already stays as it is."""
    if interaction.response.is_done():
        yield
        return
    await interaction.response.defer(ephemeral=hidden, thinking=True)
    interaction.extras[HIDDEN] = hidden
    if not hidden:
        waits_in_sight(interaction)
    async with taken_back(interaction, hidden=hidden):
        yield


@contextlib.asynccontextmanager
async def taken_back(interaction: Interaction, *, hidden: bool) -> AsyncGenerator[None]:
    """The waiting answer goes where the body raises UserFacingError or StorageFullError."""
    try:
        yield
    except (UserFacingError, StorageFullError):
        if not hidden:
            await take_back(interaction)
        raise
