"""What admins and operators see and do of the running bot.

Discord shows these commands to members with Manage Server unless the server says otherwise; what is the operator's
alone is refused to everybody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot


@app_commands.default_permissions(manage_guild=True)
@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
class OperationsCommands(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._operations = studio.operations

    @app_commands.command(name=keyed("command.admin.panel.name"), description=keyed("command.admin.panel.description"))
    @localised_options("admin.panel", "everything")
    async def panel(self, interaction: Interaction, everything: bool = False) -> None:
        await self._operations.panels.open(interaction, everything=everything)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(OperationsCommands(bot.studio))
