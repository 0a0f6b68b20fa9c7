"""What admins and operators see and do of the running bot.

Discord shows these commands to members with Manage Server unless the server says otherwise; what is the operator's
alone is refused to everybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from bot.studio.operations.usage_report import PERIODS
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot


F = TypeVar("F", bound=Callable[..., Any])


def _for_admins(function: F) -> F:
    """Whom Discord shows a command to, and where."""
    function = app_commands.default_permissions(manage_guild=True)(function)
    function = app_commands.allowed_installs(guilds=True, users=False)(function)
    return app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)(function)


class OperationsCommands(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._operations = studio.operations

    @app_commands.command(name=keyed("command.admin.panel.name"), description=keyed("command.admin.panel.description"))
    @localised_options("admin.panel", "everything")
    @_for_admins
    async def panel(self, interaction: Interaction, everything: bool = False) -> None:
        await self._operations.panels.open(interaction, everything=everything)

    @app_commands.command(name=keyed("command.admin.setup.name"), description=keyed("command.admin.setup.description"))
    @_for_admins
    async def setup_server(self, interaction: Interaction) -> None:
        await self._operations.setup.command(interaction)

    @app_commands.command(name=keyed("command.admin.usage.name"), description=keyed("command.admin.usage.description"))
    @localised_options("admin.usage", "days", "everything", "server")
    @app_commands.choices(days=[app_commands.Choice(name=str(days), value=days) for days in PERIODS])
    @_for_admins
    async def usage(
        self,
        interaction: Interaction,
        days: int = 30,
        everything: bool = False,
        server: app_commands.Range[str, 1, 20] | None = None,
    ) -> None:
        await self._operations.reports.command(interaction, days, everything=everything, server=server)

    # --- the operator's -----------------------------------------------------------------------------------------------

    @app_commands.command(
        name=keyed("command.admin.doctor.name"), description=keyed("command.admin.doctor.description")
    )
    @_for_admins
    async def doctor(self, interaction: Interaction) -> None:
        await self._operations.examining.command(interaction)

    @app_commands.command(
        name=keyed("command.admin.backup.name"), description=keyed("command.admin.backup.description")
    )
    @_for_admins
    async def backup(self, interaction: Interaction) -> None:
        await self._operations.backups.command(interaction)

    @app_commands.command(
        name=keyed("command.admin.addons.name"), description=keyed("command.admin.addons.description")
    )
    @_for_admins
    async def addons(self, interaction: Interaction) -> None:
        await self._operations.addons.command(interaction)

    @app_commands.command(
        name=keyed("command.admin.prompt_log.name"), description=keyed("command.admin.prompt_log.description")
    )
    @localised_options("admin.prompt_log", "format", "since", "until", "user", "server", "contains")
    @app_commands.choices(
        format=[app_commands.Choice(name=keyed(f"choice.log_format.{form}"), value=form) for form in ("csv", "jsonl")]
    )
    @_for_admins
    async def prompt_log(
        self,
        interaction: Interaction,
        format: str = "csv",  # noqa: A002 - the option's own name
        since: app_commands.Range[str, 1, 40] | None = None,
        until: app_commands.Range[str, 1, 40] | None = None,
        user: discord.User | None = None,
        server: app_commands.Range[str, 1, 25] | None = None,
        contains: app_commands.Range[str, 1, 100] | None = None,
    ) -> None:
        await self._operations.prompt_log.command(
            interaction,
            "jsonl" if format == "jsonl" else "csv",
            since=since,
            until=until,
            user_id=user.id if user is not None else None,
            server=server,
            contains=contains,
        )


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(OperationsCommands(bot.studio))
