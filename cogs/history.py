"""/history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.history import NAME_CHARS, SEARCH_CHARS, Desk
from bot.errors import UserFacingError
from bot.studio import Studio
from bot.studio.history.wishes import wanted_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range


class History(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.history.name"), description=keyed("command.history.description"))
    @localised_options("history", "search", "model", "lora", "since", "until", "favourites", "member")
    async def history(
        self,
        interaction: Interaction,
        search: Range[str, 1, SEARCH_CHARS] | None = None,
        model: Range[str, 1, NAME_CHARS] | None = None,
        lora: Range[str, 1, NAME_CHARS] | None = None,
        since: Range[str, 1, 40] | None = None,
        until: Range[str, 1, 40] | None = None,
        favourites: bool = False,
        member: discord.User | None = None,
    ) -> None:
        """Only the asker sees it."""
        wanted = wanted_of(search or "", model or "", lora or "", since or "", until or "")
        wanted = wanted.model_copy(update={"favourites": favourites})
        desk = Desk(wanted=wanted)
        if member is not None and member.id != interaction.user.id:
            if interaction.guild_id is None:
                raise UserFacingError("history_members_need_server")
            desk = Desk(wanted=wanted, member=member.id, guild=interaction.guild_id)
        await self._studio.history.gallery.open(interaction, desk)

    @history.autocomplete("model")
    async def _models(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return choices(typed, await self._used(interaction, "checkpoint"))

    @history.autocomplete("lora")
    async def _loras(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return choices(typed, await self._used(interaction, "lora"))

    async def _used(self, interaction: Interaction, kind: str) -> list[str]:
        """What this person has drawn with, most used first: the others find nothing."""
        used = await self._studio.library.history_of(interaction.user.id)
        return sorted((name for found, name in used if found == kind), key=lambda name: -used[kind, name])  # pyright: ignore[reportArgumentType]


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(History(bot.studio))
