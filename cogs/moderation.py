"""/moderation, /limits and /quota: thin adapters of bot/studio/safety."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import discord
from discord import app_commands
from discord.ext import commands

from bot.i18n import texts_for
from bot.studio import Studio
from bot.studio.safety.quota import quota_card
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
WORDS_CHARS = 1000


class _Named(TypedDict):
    name: app_commands.locale_str
    description: app_commands.locale_str


def _named(command: str) -> _Named:
    base = f"command.moderation.{command}"
    return {"name": keyed(f"{base}.name"), "description": keyed(f"{base}.description")}


@app_commands.default_permissions(moderate_members=True)
@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
class ModerationCommands(
    commands.GroupCog,
    group_name=keyed("command.moderation.name"),
    group_description=keyed("command.moderation.description"),
):
    words = app_commands.Group(**_named("words"))

    def __init__(self, studio: Studio) -> None:
        self._desk = studio.safety.moderation

    @app_commands.command(**_named("ban"))
    @localised_options("moderation.ban", "user", "reason", "duration", "everywhere")
    async def ban(
        self,
        interaction: Interaction,
        user: discord.User,
        reason: Range[str, 1, 300],
        duration: Range[str, 1, 10] | None = None,
        everywhere: bool = False,
    ) -> None:
        await self._desk.ban(interaction, user, reason, duration, everywhere=everywhere)

    @app_commands.command(**_named("unban"))
    @localised_options("moderation.unban", "user", "everywhere")
    async def unban(self, interaction: Interaction, user: discord.User, everywhere: bool = False) -> None:
        await self._desk.unban(interaction, user, everywhere=everywhere)

    @app_commands.command(**_named("list"))
    async def list(self, interaction: Interaction) -> None:
        await self._desk.bans(interaction)

    @app_commands.command(**_named("log"))
    async def log(self, interaction: Interaction) -> None:
        await self._desk.log(interaction)

    @words.command(**_named("words.add"))
    @localised_options("moderation.words_add", "words")
    async def words_add(self, interaction: Interaction, words: Range[str, 1, WORDS_CHARS]) -> None:
        await self._desk.add_words(interaction, words)

    @words.command(**_named("words.remove"))
    @localised_options("moderation.words_remove", "words")
    async def words_remove(self, interaction: Interaction, words: Range[str, 1, WORDS_CHARS]) -> None:
        await self._desk.remove_words(interaction, words)

    @words_remove.autocomplete("words")
    async def _words(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        if not interaction.permissions.moderate_members:
            return []
        return choices(current, self._desk.known_words(interaction.guild_id))

    @words.command(**_named("words.list"))
    async def words_list(self, interaction: Interaction) -> None:
        await self._desk.words(interaction)

    @words.command(**_named("words.test"))
    @localised_options("moderation.words_test", "text")
    async def words_test(self, interaction: Interaction, text: Range[str, 1, 6000]) -> None:
        await self._desk.test_text(interaction, text)


class LimitCommands(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.limits.name"), description=keyed("command.limits.description"))
    @app_commands.default_permissions(manage_guild=True)
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def limits(self, interaction: Interaction) -> None:
        await self._studio.safety.panel.open(interaction)

    @app_commands.command(name=keyed("command.quota.name"), description=keyed("command.quota.description"))
    async def quota(self, interaction: Interaction) -> None:
        safety, studio = self._studio.safety, self._studio
        view = await quota_card(
            where_of(interaction),
            safety.limits,
            safety.bans,
            studio.limits.max_queued_per_user,
            texts_for(str(interaction.locale)),
        )
        await interaction.response.send_message(view=view, ephemeral=True)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(ModerationCommands(bot.studio))
    await bot.add_cog(LimitCommands(bot.studio))
