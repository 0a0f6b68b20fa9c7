"""/setup: step by step, what a server needs so that its members can draw. Nothing is kept between two presses but what
is stored, so it goes on after a restart, and two admins may go through it at once."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import discord

from bot.delivery.machine import Machine
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.amounts import size_text
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.needed import INVITE_PERMISSIONS
from bot.domain.parameters import Parameters
from bot.domain.safety.rules import ServerRules
from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, Texts, texts_for
from bot.storage.administration import AdminAudit, ServerSetups
from bot.storage.server_rules import ServerRuleBook
from bot.studio.intake import Intake
from bot.studio.model_admin.telling import texts_of
from bot.studio.models import Models
from bot.studio.operations.examining import missing_here
from bot.studio.operations.setup_cards import (
    ADULT_OFF,
    ADULT_ON,
    DRAW_IN,
    LIMITS,
    NEWS_IN,
    STEPS,
    SetupFacts,
    setup_card,
    welcome_card,
)
from bot.studio.safety.panel import LimitsPanel
from bot.studio.stewards import Stewards
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.selects import chosen_value, chosen_values

__all__ = ["SETUP_VERBS", "SetupWizard"]

SETUP_VERBS = (Verb.SETUP, Verb.SETUP_CHANNELS, Verb.SETUP_ADULT, Verb.SETUP_LANGUAGE, Verb.SETUP_TEST)
PROMPT = "a red apple on a wooden table, soft morning light"
TEST_STEPS = 12
NAMES_SHOWN = 6


class SetupWizard:
    def __init__(
        self,
        *,
        client: discord.Client,
        data: Path,
        dispatcher: Dispatcher,
        machine: Machine,
        models: Models,
        intake: Intake,
        limits: Limits,
        rules: ServerRuleBook,
        limits_panel: LimitsPanel,
        classifier: Callable[[], str | None],
        setups: ServerSetups,
        audit: AdminAudit,
        stewards: Stewards,
    ) -> None:
        self._client = client
        self._data = data
        self._dispatcher = dispatcher
        self._machine = machine
        self._models = models
        self._intake = intake
        self._limits = limits
        self._rules = rules
        self._limits_panel = limits_panel
        self._classifier = classifier
        self._setups = setups
        self._audit = audit
        self._stewards = stewards
        self._rng = random.SystemRandom()

    async def command(self, interaction: Interaction) -> None:
        """Raises UserFacingError (`server_only`)."""
        guild_id = interaction.guild_id
        if guild_id is None:
            raise UserFacingError("setup_server_only")
        self._stewards.commanding(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        view = setup_card(await self._facts(interaction, guild_id), 0, texts_of(interaction))
        await interaction.edit_original_response(view=view)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        self._stewards.pressing(interaction)
        guild_id = interaction.guild_id
        if guild_id is None or address.id != str(guild_id):
            raise UserFacingError("button_unknown")
        match address.verb:
            case Verb.SETUP if address.n == LIMITS:
                await self._limits_panel.open(interaction)
            case Verb.SETUP if address.n in range(len(STEPS)):
                await self._show(interaction, guild_id, address.n or 0)
            case Verb.SETUP_CHANNELS:
                await self._channels(interaction, guild_id, address.n)
            case Verb.SETUP_ADULT:
                await self._adult(interaction, guild_id, address.n)
            case Verb.SETUP_LANGUAGE:
                await self._language(interaction, guild_id)
            case Verb.SETUP_TEST:
                await self._test(interaction, guild_id)
            case _:
                raise UserFacingError("button_unknown")

    async def _show(self, interaction: Interaction, guild_id: int, step: int, note: str = "") -> None:
        if not interaction.response.is_done():
            await interaction.response.defer()
        view = setup_card(await self._facts(interaction, guild_id), step, texts_of(interaction), note)
        await interaction.edit_original_response(view=view)

    # --- choices ------------------------------------------------------------------------------------------------------

    async def _channels(self, interaction: Interaction, guild_id: int, n: int | None) -> None:
        ids = [int(value) for value in chosen_values(interaction) if value.isdecimal()]
        texts = texts_of(interaction)
        if n == DRAW_IN:
            await interaction.response.defer()
            await self._change(interaction, guild_id, "channels", {"channels": frozenset(ids)})
            await self._show(interaction, guild_id, STEPS.index("places"), texts("setup.saved"))
        elif n == NEWS_IN:
            await interaction.response.defer()
            setup = await self._setups.get(guild_id)
            await self._setups.put(replace(setup, home_channel_id=next(iter(ids), None)), interaction.user.id)
            note = await self._welcome(interaction, guild_id, ids[0]) if ids else texts("setup.saved")
            await self._show(interaction, guild_id, STEPS.index("people"), note)
        else:
            raise UserFacingError("button_unknown")

    async def _adult(self, interaction: Interaction, guild_id: int, n: int | None) -> None:
        if n not in (ADULT_ON, ADULT_OFF):
            raise UserFacingError("button_unknown")
        await interaction.response.defer()
        allowed = frozenset(_age_restricted(interaction.guild)) if n == ADULT_ON else frozenset[int]()
        await self._change(interaction, guild_id, "adult", {"adult_channels": allowed})
        texts = texts_of(interaction)
        note = texts("setup.adult_allowed", n=len(allowed)) if n == ADULT_ON else texts("setup.saved")
        await self._show(interaction, guild_id, STEPS.index("content"), note)

    async def _language(self, interaction: Interaction, guild_id: int) -> None:
        language = chosen_value(interaction)
        if language not in LANGUAGES:
            raise UserFacingError("button_unknown")
        await interaction.response.defer()
        setup = await self._setups.get(guild_id)
        await self._setups.put(replace(setup, locale=language), interaction.user.id)
        await self._show(interaction, guild_id, STEPS.index("people"), texts_of(interaction)("setup.saved"))

    async def _test(self, interaction: Interaction, guild_id: int) -> None:
        """A job as any other, which everybody in the channel sees."""
        facts = self._models.facts(where_of(interaction))
        options = ImagineOptions(PROMPT, wishes=Parameters(steps=TEST_STEPS, count=1))
        built = build_imagine(options, facts=facts, limits=self._limits, rng=self._rng)
        job_id = await self._intake.begin(interaction, built.spec, Action.IMAGINE, private=False)
        if job_id is not None:
            setup = await self._setups.get(guild_id)
            await self._setups.put(replace(setup, finished_at=time.time()), interaction.user.id)
            await self._audit.add(guild_id, interaction.user.id, "setup_finished")

    async def _change(self, interaction: Interaction, guild_id: int, what: str, update: dict[str, object]) -> None:
        def change(rules: ServerRules) -> ServerRules:
            return rules.model_copy(update=update)

        await self._rules.change(guild_id, change)
        await self._audit.add(guild_id, interaction.user.id, f"setup_{what}")

    async def _welcome(self, interaction: Interaction, guild_id: int, channel_id: int) -> str:
        """Posts what members should know there. Raises UserFacingError (`setup_channel_closed`)."""
        texts = texts_for(await self.locale(guild_id, interaction))
        channel = self._client.get_partial_messageable(channel_id, guild_id=guild_id)
        try:
            # Twice within minutes is once: the nonce is the server's and the channel's.
            await channel.send(view=welcome_card(texts), nonce=f"w{channel_id}"[:25])
        except (discord.Forbidden, discord.NotFound) as error:
            raise UserFacingError("setup_channel_closed", channel=f"<#{channel_id}>") from error
        return texts_of(interaction)("setup.welcome_posted", channel=f"<#{channel_id}>")

    async def locale(self, guild_id: int, interaction: Interaction) -> str:
        """Of what everybody in this server reads: the one it chose, else that of whoever asks. Discord's own language
        of a server is English wherever nobody changed it, so it says nothing."""
        return (await self._setups.get(guild_id)).locale or str(interaction.locale)

    # --- what there is ------------------------------------------------------------------------------------------------

    async def _facts(self, interaction: Interaction, guild_id: int) -> SetupFacts:
        guild = interaction.guild
        me = guild.me if guild is not None else None
        rules, setup = self._rules.of(guild_id), await self._setups.get(guild_id)
        texts = texts_of(interaction)
        server: list[str] = []
        if me is not None:
            granted = me.guild_permissions
            server = [name for name in INVITE_PERMISSIONS if not getattr(granted, name)]
        return SetupFacts(
            guild_id=guild_id,
            missing_here=missing_here(interaction),
            missing_server=server,
            member=me is not None,
            channel_id=interaction.channel_id,
            invite=self._invite(guild_id),
            draw_in=rules.channels,
            adult_in=rules.adult_channels,
            age_restricted=_age_restricted(guild),
            classifier=self._classifier(),
            limited=any(rules.limits.values()),
            language=setup.locale,
            news_in=setup.home_channel_id,
            checks=await self._machine_lines(interaction, texts),
            finished=setup.finished_at is not None,
        )

    async def _machine_lines(self, interaction: Interaction, texts: Texts) -> list[str]:
        """What a server's admin may know of the machine: whether it draws, with what, and whether there is room."""
        lines: list[str] = []
        workers = [view for view in self._dispatcher.workers if view.compatible]
        if workers:
            gpus = ", ".join(dict.fromkeys(spoken(view.hello.gpu) for view in workers))
            lines.append("✅ " + texts("setup.worker_good", n=len(workers), gpus=gpus))
        else:
            lines.append("❌ " + texts(f"panel.machine_{self._machine.state.value}"))
        names = self._models.names("checkpoint", where_of(interaction))
        if names:
            shown = ", ".join(spoken(name) for name in names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
            lines.append("✅ " + texts("setup.models_good", n=len(names), names=shown))
        else:
            lines.append("❌ " + texts("setup.models_none"))
        free = await asyncio.to_thread(_free, self._data)
        if free is not None:
            low = free < LOW_DISK_BYTES
            lines.append(
                f"{'⚠️' if low else '✅'} " + texts("setup.disk_low" if low else "setup.disk", free=size_text(free))
            )
        return lines

    def _invite(self, guild_id: int) -> str:
        assert self._client.application_id is not None
        permissions = discord.Permissions(**dict.fromkeys(INVITE_PERMISSIONS, True))
        return discord.utils.oauth_url(
            self._client.application_id,
            permissions=permissions,
            guild=discord.Object(guild_id),
            scopes=("bot", "applications.commands"),
        )


LOW_DISK_BYTES = 5_000_000_000


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _age_restricted(guild: discord.Guild | None) -> list[int]:
    channels = guild.channels if guild is not None else ()
    return [channel.id for channel in channels if getattr(channel, "nsfw", False)]
