"""/tags, the prompt builder, and /wildcards, the lists that __names__ in a prompt are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range


class TagCommands(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.tags.name"), description=keyed("command.tags.description"))
    @localised_options("tags", "search", "prompt")
    async def tags(
        self,
        interaction: Interaction,
        search: Range[str, 1, 100] | None = None,
        prompt: Range[str, 1, 4000] | None = None,
    ) -> None:
        await self._studio.tag_builder.open(interaction, search or "", prompt or "")

    @tags.autocomplete("prompt")
    async def _prompt(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)


class Wildcards(
    commands.GroupCog,
    group_name=keyed("command.wildcards.name"),
    group_description=keyed("command.wildcards.description"),
):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(
        name=keyed("command.wildcards.list.name"), description=keyed("command.wildcards.list.description")
    )
    @localised_options("wildcards.list", "name")
    async def list_(self, interaction: Interaction, name: Range[str, 1, 100] | None = None) -> None:
        await self._studio.wildcard_desk.show(interaction, name)

    @app_commands.command(
        name=keyed("command.wildcards.add.name"), description=keyed("command.wildcards.add.description")
    )
    @localised_options("wildcards.add", "file")
    async def add(self, interaction: Interaction, file: discord.Attachment) -> None:
        await self._studio.wildcard_desk.add(interaction, file)

    @app_commands.command(
        name=keyed("command.wildcards.remove.name"), description=keyed("command.wildcards.remove.description")
    )
    @localised_options("wildcards.remove", "file")
    async def remove(self, interaction: Interaction, file: Range[str, 1, 100]) -> None:
        await self._studio.wildcard_desk.remove(interaction, file)

    @list_.autocomplete("name")
    async def _names(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, await self._studio.completion.wildcards(where_of(interaction)))

    @remove.autocomplete("file")
    async def _files(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, await self._studio.wildcard_desk.files(interaction))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(TagCommands(bot.studio))
    await bot.add_cog(Wildcards(bot.studio))
