"""/forget-me."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import keyed

if TYPE_CHECKING:
    from bot.app import PincelBot


class Forget(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.forget_me.name"), description=keyed("command.forget_me.description"))
    async def forget_me(self, interaction: Interaction) -> None:
        """Only the asker sees it."""
        await self._studio.history.forget_me.ask(interaction)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Forget(bot.studio))
