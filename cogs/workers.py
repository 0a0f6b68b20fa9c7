"""/workers: the machines that draw for this bot. The operator's alone; everybody else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

NAME_CHARS = 40
"""A little more than a worker's name has, so that a longer one is refused by a sentence of ours."""


class _Named(TypedDict):
    name: app_commands.locale_str
    description: app_commands.locale_str


def _named(command: str) -> _Named:
    base = f"command.admin.workers.{command}"
    return {"name": keyed(f"{base}.name"), "description": keyed(f"{base}.description")}


@app_commands.default_permissions(manage_guild=True)
@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
class WorkersCommands(
    commands.GroupCog,
    group_name=keyed("command.admin.workers.name"),
    group_description=keyed("command.admin.workers.description"),
):
    def __init__(self, studio: Studio) -> None:
        self._desk = studio.fleet.desk

    @app_commands.command(**_named("list"))
    async def list(self, interaction: Interaction) -> None:
        await self._desk.show(interaction)

    @app_commands.command(**_named("add"))
    @localised_options("admin.workers.add", "name")
    async def add(self, interaction: Interaction, name: app_commands.Range[str, 1, NAME_CHARS]) -> None:
        await self._desk.add(interaction, name)

    @app_commands.command(**_named("drain"))
    @localised_options("admin.workers.drain", "name")
    async def drain(self, interaction: Interaction, name: app_commands.Range[str, 1, NAME_CHARS]) -> None:
        await self._desk.drain(interaction, name)

    @app_commands.command(**_named("resume"))
    @localised_options("admin.workers.resume", "name")
    async def resume(self, interaction: Interaction, name: app_commands.Range[str, 1, NAME_CHARS]) -> None:
        await self._desk.resume(interaction, name)

    @app_commands.command(**_named("remove"))
    @localised_options("admin.workers.remove", "name")
    async def remove(self, interaction: Interaction, name: app_commands.Range[str, 1, NAME_CHARS]) -> None:
        await self._desk.remove(interaction, name)

    @drain.autocomplete("name")
    @resume.autocomplete("name")
    @remove.autocomplete("name")
    async def names(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, self._desk.names(interaction))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(WorkersCommands(bot.studio))
