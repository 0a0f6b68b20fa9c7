"""The Discord client: extensions, command tree with its error door, and command sync only where commands changed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import discord
from discord import app_commands
from discord.ext import commands

from bot.i18n import ENGLISH, language_of, load_language
from bot.storage.facts import Facts
from bot.studio import Studio, StudioParts
from bot.studio.operations.addons import ADDON_PREFIX
from bot.ui.buttons import AddressButton
from bot.ui.client import Interaction, Presses
from bot.ui.codec import TEMPLATE, parse
from bot.ui.door import tell_error
from bot.ui.late import LateSuggestions

__all__ = ["EXTENSIONS", "CatalogueTranslator", "PincelBot", "create_bot"]

log = logging.getLogger(__name__)
LATE = LateSuggestions()
MENUS_MAX = 15
"""Of one kind: on messages, on people."""

EXTENSIONS = (
    "cogs.imagine", "cogs.style", "cogs.queue", "cogs.models", "cogs.model_admin", "cogs.help", "cogs.settings",
    "cogs.looking", "cogs.ultimate", "cogs.preprocess", "cogs.blend", "cogs.control", "cogs.details", "cogs.regions",
    "cogs.inpaint", "cogs.again",
    "cogs.matrix", "cogs.plot", "cogs.train",
    "cogs.operations",
    "cogs.workers",
    "cogs.history",
    "cogs.dataset",
    "cogs.tags",
    "cogs.boards",
    "cogs.forget_me",
    "cogs.moderation",
)  # fmt: skip


_TRANSLATED = {each: language for each in discord.Locale if (language := language_of(each.value)) != ENGLISH}


class CatalogueTranslator(app_commands.Translator):
    """Names and descriptions of commands from bot/i18n; a text without its key stays as it is."""

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        # Asked some twenty thousand times a start: every text in every language of Discord's.
        key = string.extras.get("key")
        language = None if key is None else _TRANSLATED.get(locale)
        return None if key is None or language is None else load_language(language).get(key)


class Tree(app_commands.CommandTree["PincelBot"]):
    async def interaction_check(self, interaction: Interaction, /) -> bool:
        """Comes before commands, context menus and completion; nobody is turned away here."""
        self.client.studio.languages.apply(interaction)
        return True

    def add_command(
        self,
        command: app_commands.Command[Any, ..., Any] | app_commands.ContextMenu | app_commands.Group,
        /,
        *,
        guild: discord.abc.Snowflake | None = discord.utils.MISSING,
        guilds: Sequence[discord.abc.Snowflake] = discord.utils.MISSING,
        override: bool = False,
    ) -> None:
        """As discord.py's, but for menus: Discord has taken 15 of a kind since 3 March 2026 (its change log), and
        discord.py 2.7.1 still refuses the sixth (app_commands/tree.py). Raises CommandAlreadyRegistered,
        CommandLimitReached."""
        everywhere = guild is discord.utils.MISSING and guilds is discord.utils.MISSING
        if not isinstance(command, app_commands.ContextMenu) or not everywhere:
            super().add_command(command, guild=guild, guilds=guilds, override=override)
            return
        menus = self._context_menus  # pyright: ignore[reportPrivateUsage]
        kind = command.type.value
        key = (command.name, None, kind)
        if key in menus and not override:
            raise app_commands.CommandAlreadyRegistered(command.name, None)
        if key not in menus and sum(one[1:] == key[1:] for one in menus) >= MENUS_MAX:
            raise app_commands.CommandLimitReached(guild_id=None, limit=MENUS_MAX, type=command.type)
        menus[key] = command

    def copy_global_to(self, *, guild: discord.abc.Snowflake) -> None:
        """As discord.py's, which counts to five here, too."""
        there = self._context_menus  # pyright: ignore[reportPrivateUsage]
        menus = dict(there)
        there.clear()
        try:
            super().copy_global_to(guild=guild)
        finally:
            there.update(menus)
        for (name, place, kind), menu in menus.items():
            if place is None:
                there[name, guild.id, kind] = menu

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        await tell_error(interaction, error)


class PincelBot(commands.AutoShardedBot):
    """Asks for no privileged intent, starts without torch, and mentions nobody unless it is told to."""

    def __init__(
        self,
        parts: StudioParts,
        *,
        test_guild: int | None = None,
        sync_commands: bool = True,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """`started` is called once everything is loaded, before Discord is asked for anything."""
        # discord.py warns of missing voice libraries, which nothing here needs.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        intents = discord.Intents.none()
        intents.guilds = True
        intents.guild_reactions = True
        intents.dm_reactions = True
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=intents,
            tree_cls=Tree,
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
            max_messages=None,
            # Its annotation has forgotten that it takes None.
            http_trace=cast("Any", parts.meters and parts.meters.rest_trace()),
        )
        self._test_guild = discord.Object(test_guild) if test_guild is not None else None
        self._sync = sync_commands
        self._started = started
        self.studio = Studio(self, parts)

    @property
    def presses(self) -> Presses:
        return self.studio.router

    async def setup_hook(self) -> None:
        logging.getLogger("discord.app_commands.tree").addFilter(LATE)
        await self.tree.set_translator(CatalogueTranslator())
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        await self.studio.operations.addons.load(self)
        self.add_dynamic_items(AddressButton)
        if self._sync:
            await self.sync_if_changed(self.studio.facts)
        await self.studio.start()
        self._started()

    async def close(self) -> None:
        if not self.is_closed():
            await self.studio.stop()
        await super().close()

    async def sync_if_changed(self, facts: Facts) -> bool:
        """Discord allows few command writes a day, so the tree is sent only when it is another one than last time."""
        if self._test_guild is not None:
            self.tree.copy_global_to(guild=self._test_guild)
        found = self.tree.get_commands(guild=self._test_guild)
        translator = self.tree.translator
        payload: list[Any] = [
            await command.get_translated_payload(self.tree, translator) if translator else command.to_dict(self.tree)
            for command in found
        ]
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()
        key = f"commands:{self.application_id}:{self._test_guild.id if self._test_guild else 'global'}"
        if await facts.get(key) == digest:
            return False
        try:
            await self._send(found, payload)
        except discord.Forbidden:
            log.error("PINCEL_TEST_GUILD names a server that the bot is not in; invite it there, or leave it empty")
            return False
        except discord.HTTPException as error:
            if error.status == 400 and await self.studio.operations.addons.withdraw(self, error.text):
                return await self.sync_if_changed(facts)
            # The commands of the last time still work; the next start tries again.
            log.exception("the commands could not be sent to Discord")
            return False
        await facts.put(key, digest)
        log.info("%s commands were sent to Discord", len(found))
        return True

    async def _send(self, found: list[Any], payload: list[Any]) -> None:
        """As `tree.sync`, which would translate everything once more."""
        application = self.application_id
        assert application is not None, "logged in"
        try:
            if self._test_guild is None:
                await self.http.bulk_upsert_global_commands(application, payload)
            else:
                await self.http.bulk_upsert_guild_commands(application, self._test_guild.id, payload)
        except discord.HTTPException as error:
            if error.status == 400 and error.code == 50035:
                raise app_commands.CommandSyncFailure(error, found) from None
            raise

    # --- events -------------------------------------------------------------------------------------------------------

    async def on_ready(self) -> None:
        log.info("connected as %s, in %s servers", self.user, len(self.guilds))

    async def on_interaction(self, interaction: Interaction) -> None:
        """What discord.py's stores do not know: sent forms, and buttons of another version."""
        data = cast("dict[str, Any]", interaction.data or {})
        custom_id = str(data.get("custom_id", ""))
        try:
            if custom_id.startswith(ADDON_PREFIX):
                return  # an add-on answers what it gave out
            if interaction.type is discord.InteractionType.modal_submit:
                await self.studio.router.submitted(interaction, parse(custom_id))
            elif interaction.type is discord.InteractionType.component and not TEMPLATE.fullmatch(custom_id):
                await self.studio.router.unknown_component(interaction)
        except Exception as error:
            await tell_error(interaction, error)

    async def on_raw_reaction_add(self, event: discord.RawReactionActionEvent) -> None:
        await self.studio.reactions.added(event)

    async def on_raw_reaction_remove(self, event: discord.RawReactionActionEvent) -> None:
        await self.studio.reactions.removed(event)

    async def on_error(self, event_method: str, /, *args: object, **kwargs: object) -> None:
        log.exception("event %s failed", event_method)


def create_bot(
    parts: StudioParts,
    *,
    test_guild: int | None = None,
    sync_commands: bool = True,
    started: Callable[[], None] = lambda: None,
) -> PincelBot:
    """The factory for the composition root and for tests."""
    return PincelBot(parts, test_guild=test_guild, sync_commands=sync_commands, started=started)
