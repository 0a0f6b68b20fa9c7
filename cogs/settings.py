"""/settings: what somebody, a channel, a server or the operator wants by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.preferences import Level
from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

LEVELS = (Level.USER, Level.CHANNEL, Level.SERVER, Level.OPERATOR)


class SettingsPanel(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.settings.name"), description=keyed("command.settings.description"))
    @localised_options("settings", "level", "channel")
    @app_commands.choices(
        level=[app_commands.Choice(name=keyed(f"choice.settings_level.{level}"), value=level) for level in LEVELS]
    )
    async def settings(
        self,
        interaction: Interaction,
        level: str = Level.USER,
        channel: discord.TextChannel | discord.VoiceChannel | discord.ForumChannel | discord.Thread | None = None,
    ) -> None:
        await self._studio.settings_desk.open(interaction, Level(level), channel.id if channel is not None else None)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(SettingsPanel(bot.studio))
