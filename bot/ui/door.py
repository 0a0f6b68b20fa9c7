"""The error door: whatever goes wrong in an interaction, its user is told, in their language, and never in silence.

Two texts per failure: a friendly sentence with the next step and a short reference for the user, the full trace under
that reference in the log. Slash commands come here from the tree, components and forms from their own guard, because
discord.py drops their exceptions (ui/view.py).
"""

from __future__ import annotations

import logging
import secrets

import aiohttp
import discord
from discord import app_commands

from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.database import StorageFullError
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from bot.ui.waiting import take_back, waits

__all__ = ["TEXT_LIMIT", "appeal_below", "say", "sentence", "tell_error"]

log = logging.getLogger(__name__)

GONE = frozenset({10008, 10015, 10062, 40060, 50027})
"""Unknown message, webhook or interaction, already answered, token over: nobody is left to tell through this one."""


_CHOSEN = app_commands.AppCommandChannel | app_commands.AppCommandThread
"""What a channel that somebody chose comes as; where the bot does not know it, no command gets it."""

TEXT_LIMIT = 2000
"""Of a message's content."""


async def say(interaction: Interaction, text: str, *, below: discord.ui.View | None = None) -> None:
    """One sentence that only the user sees, whatever state the interaction is in; `below` it, perhaps, a button."""
    text = text[:TEXT_LIMIT]
    send = interaction.followup.send if interaction.response.is_done() else interaction.response.send_message
    if below is None:
        await send(text, ephemeral=True)
    else:
        await send(text, ephemeral=True, view=below)


async def tell_error(interaction: Interaction, error: BaseException) -> None:
    """Never raises for an Exception; CancelledError and the like go on."""
    if isinstance(error, app_commands.CommandInvokeError | app_commands.TransformerError):
        error = error.__cause__ or error
    if not isinstance(error, Exception):
        raise error
    try:
        if interaction.type is discord.InteractionType.autocomplete:
            log.error("autocomplete failed", exc_info=error)
            if not interaction.response.is_done():
                await interaction.response.autocomplete([])
            return
        if isinstance(error, UserFacingError | StorageFullError) and waits(interaction):
            await take_back(interaction)  # or else everybody would read what is meant for one
        texts = texts_for(str(interaction.locale))
        said = sentence(texts, error, f"interaction {interaction.id}")
        await say(interaction, said, below=appeal_below(error, texts))
    except (discord.HTTPException, discord.InteractionResponded, aiohttp.ClientError, OSError) as failed:
        log.info("interaction %s could not be told: %s", interaction.id, failed)


def appeal_below(error: Exception, texts: Texts) -> discord.ui.View | None:
    """The button below a refusal that its user may have moderators look at."""
    appeal_id = error.appeal_id if isinstance(error, UserFacingError) else None
    if appeal_id is None:
        return None
    view = discord.ui.View(timeout=None)
    view.stop()  # its button is found by its address
    label = texts("appeal.button")
    view.add_item(discord.ui.Button(label=label, emoji="⚖️", custom_id=encode(Verb.APPEAL, appeal_id)))
    return view


def sentence(texts: Texts, error: Exception, what: str) -> str:
    """What the user reads about `error`; for a bug the log gets the trace of `what` under the same reference."""
    match error:
        case UserFacingError() if texts.has(f"error.{error.key}") or "n" in error.values:
            return texts(f"error.{error.key}", **error.values)
        case app_commands.TransformerError() if isinstance(error.value, _CHOSEN):
            return texts("error.channel_unseen")
        case app_commands.MissingPermissions() | app_commands.CheckFailure():
            return texts("error.not_allowed")
        case app_commands.CommandSignatureMismatch() | app_commands.CommandNotFound():
            return texts("error.command_outdated")
        case StorageFullError():
            log.error("%s: the disk is full", what)
            return texts("error.disk_full")
        case discord.HTTPException() if error.code in GONE:
            log.info("%s ended before its answer: %s", what, error)
            return texts("error.too_slow")
        case _:
            reference = secrets.token_hex(4)
            log.error("%s failed, reference %s", what, reference, exc_info=error)
            return texts("error.bug", reference=reference)
