"""/help: the first five minutes on one card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.i18n import texts_for
from bot.studio import Studio
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import keyed

if TYPE_CHECKING:
    from bot.app import PincelBot

SECTIONS = (
    "draw", "buttons", "reactions", "pictures", "compare", "prompt", "browse", "styles", "own", "queue", "history",
    "rules",
)  # fmt: skip


class Help(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.help.name"), description=keyed("command.help.description"))
    async def help(self, interaction: Interaction) -> None:
        texts = texts_for(str(interaction.locale))
        names = self._studio.models.names("checkpoint", where_of(interaction))
        view = discord.ui.LayoutView(timeout=None)
        box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
        box.add_item(discord.ui.TextDisplay(texts("help.title")))
        manages = interaction.guild_id is not None and interaction.permissions.manage_guild
        for section in (*SECTIONS, "admins") if manages else SECTIONS:
            box.add_item(discord.ui.Separator())
            box.add_item(discord.ui.TextDisplay(texts(f"help.{section}")))
        models = ", ".join(f"`{name}`" for name in names[:10]) or "–"
        box.add_item(discord.ui.TextDisplay("-# " + texts("help.models", models=models, n=len(names))))
        view.add_item(box)
        await interaction.response.send_message(view=view, ephemeral=True)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Help(bot.studio))
