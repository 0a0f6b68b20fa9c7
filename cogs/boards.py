"""/starboard and /retention: what servers do with what their members made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.ids import ChannelId, GuildId, UserId
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.starboards import Board
from bot.studio import Studio
from bot.studio.starboard import age_restricted
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from bot.ui.door import say

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
MANAGERS = discord.Permissions(manage_guild=True)
USUAL_THRESHOLD = 3
IN_SERVERS = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
"""Each said: what is left open is filled in from the tree's own contexts, whatever `guild_only` says."""


class StarboardCommands(app_commands.Group):
    def __init__(self, studio: Studio) -> None:
        super().__init__(
            name=keyed("command.starboard.name"),
            description=keyed("command.starboard.description"),
            guild_only=True,
            allowed_contexts=IN_SERVERS,
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
            default_permissions=MANAGERS,
        )
        self._studio = studio

    @app_commands.command(
        name=keyed("command.starboard.channel.name"), description=keyed("command.starboard.channel.description")
    )
    @localised_options("starboard.channel", "channel", "threshold")
    async def channel(
        self,
        interaction: Interaction,
        channel: discord.TextChannel,
        threshold: Range[int, 1, 1000] | None = None,
    ) -> None:
        guild_id = _managed(interaction)
        guild = interaction.guild
        found = guild.get_channel(channel.id) if guild is not None else None
        if guild is None or not isinstance(found, discord.TextChannel):
            raise UserFacingError("channel_unseen")
        mine = found.permissions_for(guild.me)
        if not (mine.view_channel and mine.send_messages and mine.attach_files):
            raise UserFacingError("starboard_channel_closed", channel=f"<#{channel.id}>")
        boards = self._studio.history.boards
        before = await boards.get(guild_id)
        count = threshold or (before.threshold if before is not None else USUAL_THRESHOLD)
        await boards.put(Board(guild_id, ChannelId(channel.id), count), UserId(interaction.user.id))
        texts = texts_for(str(interaction.locale))
        lines = [texts("starboard.on", channel=f"<#{channel.id}>", n=count)]
        lines.append("-# " + texts("starboard.adult" if age_restricted(found) else "starboard.no_adult"))
        await say(interaction, "\n".join(lines))

    @app_commands.command(
        name=keyed("command.starboard.threshold.name"), description=keyed("command.starboard.threshold.description")
    )
    @localised_options("starboard.threshold", "people")
    async def threshold(self, interaction: Interaction, people: Range[int, 1, 1000]) -> None:
        guild_id = _managed(interaction)
        board = await self._studio.history.boards.get(guild_id)
        if board is None:
            raise UserFacingError("starboard_off")
        await self._studio.history.boards.put(Board(guild_id, board.channel_id, people), UserId(interaction.user.id))
        texts = texts_for(str(interaction.locale))
        await say(interaction, texts("starboard.on", channel=f"<#{board.channel_id}>", n=people))

    @app_commands.command(
        name=keyed("command.starboard.off.name"), description=keyed("command.starboard.off.description")
    )
    async def off(self, interaction: Interaction) -> None:
        guild_id = _managed(interaction)
        if not await self._studio.history.boards.remove(guild_id):
            raise UserFacingError("starboard_off")
        await say(interaction, texts_for(str(interaction.locale))("starboard.now_off"))


class Boards(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.retention.name"), description=keyed("command.retention.description"))
    @localised_options("retention", "days")
    @app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.default_permissions(MANAGERS)
    async def retention(self, interaction: Interaction, days: Range[int, 0, 3650] | None = None) -> None:
        """How long pictures of this server keep their files; 0 goes back to the operator's word."""
        guild_id = _managed(interaction)
        history, operators = self._studio.history, self._studio.history.keep_days
        if days is not None:
            await history.retention.set_days(guild_id, days or None, UserId(interaction.user.id))
        own = await history.retention.days_of(guild_id)
        known = [limit for limit in (own, operators) if limit is not None]
        texts = texts_for(str(interaction.locale))
        lines = [texts("retention.days", n=min(known)) if known else texts("retention.forever")]
        if own is not None and operators is not None and operators < own:
            lines.append(texts("retention.operator", n=operators))
        lines.append("-# " + texts("retention.kept"))
        await say(interaction, "\n".join(lines))


def _managed(interaction: Interaction) -> GuildId:
    """Discord's own word on commands can be changed by role; this is ours. Raises UserFacingError."""
    if interaction.guild_id is None:
        raise UserFacingError("server_only")
    if not interaction.permissions.manage_guild:
        raise UserFacingError("not_allowed")
    return GuildId(interaction.guild_id)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Boards(bot.studio))
    bot.tree.add_command(StarboardCommands(bot.studio))
