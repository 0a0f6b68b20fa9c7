"""/dataset, and the menu of any message with pictures in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.training.datasets import DEFAULT_REPEATS, REPEATS_MAX
from bot.domain.training.names import NAME_CHARS, TOKENS_CHARS
from bot.studio import Studio
from bot.studio.datasets.folders import folder_label
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
FILES = ("file1", "file2", "file3", "file4", "file5", "file6", "file7", "file8", "file9", "file10")


class Named(TypedDict):
    name: app_commands.locale_str
    description: app_commands.locale_str


def _command(group: str, name: str) -> Named:
    path = f"command.{group}.{name}"
    return {"name": keyed(f"{path}.name"), "description": keyed(f"{path}.description")}


class DatasetCommands(
    commands.GroupCog,
    group_name=keyed("command.dataset.name"),
    group_description=keyed("command.dataset.description"),
):
    folder = app_commands.Group(**_command("dataset", "folder"))

    def __init__(self, studio: Studio, tree: app_commands.CommandTree[PincelBot]) -> None:
        self._tree = tree
        self._pointed = studio.looking.pointed
        self._desk = studio.datasets.desk
        self._showing = studio.datasets.showing
        self._datasets = studio.datasets.kept
        self._captions = studio.captions.desk
        self._menu = app_commands.ContextMenu(name=keyed("menu.dataset"), callback=self._add_of)

    async def cog_load(self) -> None:
        self._tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        self._tree.remove_command(self._menu.name, type=self._menu.type)

    @app_commands.command(**_command("dataset", "create"))
    @localised_options("dataset.create", "name", "tokens", "repeats")
    async def create(
        self,
        interaction: Interaction,
        name: Range[str, 1, NAME_CHARS],
        tokens: Range[str, 0, TOKENS_CHARS] = "",
        repeats: Range[int, 1, REPEATS_MAX] = DEFAULT_REPEATS,
    ) -> None:
        await self._desk.create(interaction, name, tokens, repeats)

    @app_commands.command(**_command("dataset", "add"))
    @localised_options("dataset.add", "name", *FILES, "picture", "folder")
    async def add(
        self,
        interaction: Interaction,
        name: str,
        file1: discord.Attachment | None = None,
        file2: discord.Attachment | None = None,
        file3: discord.Attachment | None = None,
        file4: discord.Attachment | None = None,
        file5: discord.Attachment | None = None,
        file6: discord.Attachment | None = None,
        file7: discord.Attachment | None = None,
        file8: discord.Attachment | None = None,
        file9: discord.Attachment | None = None,
        file10: discord.Attachment | None = None,
        picture: str | None = None,
        folder: str | None = None,
    ) -> None:
        given = (file1, file2, file3, file4, file5, file6, file7, file8, file9, file10)
        files = [file for file in given if file is not None]
        pictures = [await self._pointed.named(interaction, picture)] if picture is not None else []
        await self._desk.add(interaction, name, files, pictures, folder)

    @app_commands.command(**_command("dataset", "show"))
    @localised_options("dataset.show", "name")
    async def show(self, interaction: Interaction, name: str | None = None) -> None:
        await self._desk.show(interaction, name)

    @app_commands.command(**_command("dataset", "delete"))
    @localised_options("dataset.delete", "name")
    async def delete(self, interaction: Interaction, name: str) -> None:
        await self._desk.delete(interaction, name)

    @app_commands.command(**_command("dataset", "export"))
    @localised_options("dataset.export", "name")
    async def export(self, interaction: Interaction, name: str) -> None:
        await self._desk.export(interaction, name)

    @app_commands.command(**_command("dataset", "tags"))
    @localised_options("dataset.tags", "name")
    async def tags(self, interaction: Interaction, name: str) -> None:
        await self._captions.open(interaction, await self._showing.named(interaction, name))

    @folder.command(**_command("dataset.folder", "add"))
    @localised_options("dataset.folder.add", "name", "repeats", "tokens", "reg")
    async def add_folder(
        self,
        interaction: Interaction,
        name: str,
        repeats: Range[int, 1, REPEATS_MAX],
        tokens: Range[str, 0, TOKENS_CHARS] = "",
        reg: bool = False,
    ) -> None:
        await self._desk.add_folder(interaction, name, repeats, tokens, is_reg=reg)

    @folder.command(**_command("dataset.folder", "change"))
    @localised_options("dataset.folder.change", "name", "folder", "repeats", "tokens", "reg")
    async def change_folder(
        self,
        interaction: Interaction,
        name: str,
        folder: str,
        repeats: Range[int, 1, REPEATS_MAX] | None = None,
        tokens: Range[str, 0, TOKENS_CHARS] | None = None,
        reg: bool | None = None,
    ) -> None:
        await self._desk.change_folder(interaction, name, folder, repeats, tokens, is_reg=reg)

    @folder.command(**_command("dataset.folder", "remove"))
    @localised_options("dataset.folder.remove", "name", "folder", "into")
    async def remove_folder(self, interaction: Interaction, name: str, folder: str, into: str | None = None) -> None:
        await self._desk.remove_folder(interaction, name, folder, into)

    @add.autocomplete("name")
    @show.autocomplete("name")
    @delete.autocomplete("name")
    @export.autocomplete("name")
    @tags.autocomplete("name")
    @add_folder.autocomplete("name")
    @change_folder.autocomplete("name")
    @remove_folder.autocomplete("name")
    async def _names(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, await self._datasets.names(interaction.user.id))

    @add.autocomplete("folder")
    @change_folder.autocomplete("folder")
    @remove_folder.autocomplete("folder")
    @remove_folder.autocomplete("into")
    async def _folders(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        """Of the data set that is named already; of none before that."""
        name = str(getattr(interaction.namespace, "name", "") or "")
        dataset = await self._datasets.by_name(interaction.user.id, name)
        folders = await self._datasets.folders(dataset.id) if dataset is not None else []
        return choices(current, [folder_label(one) for one in folders])

    @add.autocomplete("picture")
    async def _pictures(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [
            app_commands.Choice(name=shown[:100], value=value)
            for value, shown in await self._pointed.recent(interaction, current)
        ]

    async def _add_of(self, interaction: Interaction, message: discord.Message) -> None:
        await self._desk.into(interaction, await self._pointed.in_message(message))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(DatasetCommands(bot.studio, bot.tree))
