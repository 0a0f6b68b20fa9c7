"""/doctor in Discord: the doctor's checks off the loop, and what only the running bot knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import discord

from bot.delivery.machine import Machine, MachineState
from bot.dispatch.dispatcher import Dispatcher
from bot.doctor.report import Check, State, finding
from bot.doctor.running import examine_running
from bot.domain.mentions import neutral
from bot.domain.needed import missing
from bot.domain.queue_rules import ALL_SERVERS, GateState
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.settings import Settings
from bot.storage.queue_gates import QueueGates
from bot.studio.fleet.look import own_version, version_text
from bot.studio.model_admin.reports import plain_card
from bot.studio.model_admin.telling import texts_of
from bot.studio.operations.addons import Addons
from bot.studio.operations.backups import Backups
from bot.studio.stewards import Stewards
from bot.ui.buttons import button
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb

__all__ = ["EXAMINE_VERBS", "Examining", "missing_here"]

EXAMINE_VERBS = (Verb.EXAMINE,)
_SIGNS = {State.OK: "✅", State.WARN: "⚠️", State.FAIL: "❌"}
_COLOURS = {State.OK: 0x3BA55D, State.WARN: 0xFAA61A, State.FAIL: 0xED4245}
TEXT_CHARS = 3700
LINE_CHARS = 500


def missing_here(interaction: Interaction) -> list[str]:
    """Permissions that the bot lacks where this was asked."""
    permissions = interaction.app_permissions
    thread = isinstance(interaction.channel, discord.Thread)
    return missing(lambda name: bool(getattr(permissions, name)), thread=thread)


class Examining:
    def __init__(
        self,
        *,
        settings: Settings,
        dispatcher: Dispatcher,
        machine: Machine,
        gates: QueueGates,
        backups: Backups,
        addons: Addons,
        stewards: Stewards,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._machine = machine
        self._gates = gates
        self._backups = backups
        self._addons = addons
        self._stewards = stewards
        self._turn = asyncio.Lock()

    async def command(self, interaction: Interaction) -> None:
        """Raises UserFacingError (`operator_alone`)."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._answer(interaction)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Looks again. Raises UserFacingError."""
        await interaction.response.defer()
        await self._answer(interaction)

    async def _answer(self, interaction: Interaction) -> None:
        if not self._stewards.is_operator(interaction):
            raise UserFacingError("operator_alone")
        texts = texts_of(interaction)
        async with self._turn:  # nobody gains by two looks at once
            checks = [*self.live(texts, interaction), *await asyncio.to_thread(examine_running, texts, self._settings)]
        await interaction.edit_original_response(view=report_card(checks, texts))

    def live(self, texts: Texts, interaction: Interaction | None = None) -> list[Check]:
        """What only the running bot knows; no I/O."""
        checks = [*self._workers(texts), *self._put_out(texts), self._queue(texts)]
        trouble = self._backups.trouble
        if trouble is not None:
            ago = round((time.time() - trouble.at) / 60)
            reason = self._backups.reason(texts)
            checks.append(finding(texts, "backups", State.WARN, "failed", minutes=ago, reason=reason))
        checks += self._addons.checks(texts)
        if interaction is not None and interaction.guild_id is not None:
            checks.append(_permissions(texts, missing_here(interaction)))
        return checks

    def _workers(self, texts: Texts) -> list[Check]:
        views = self._dispatcher.workers
        if not views:
            state = self._machine.state
            level = State.FAIL if state is MachineState.AWAY else State.WARN
            return [finding(texts, "live", level, "starting" if state is MachineState.STARTING else "none")]
        checks: list[Check] = []
        own = own_version()
        for view in views:
            name, gpu = neutral(view.name, 40), neutral(view.hello.gpu, 80)
            version = version_text(view.hello.app_version)
            if not view.compatible:
                checks.append(finding(texts, "live", State.FAIL, "old", name=name))
            elif version != own:
                checks.append(finding(texts, "live", State.WARN, "skewed", name=name, version=version, own=own))
            elif view.drained:
                checks.append(finding(texts, "live", State.WARN, "drained", name=name))
            else:
                checks.append(finding(texts, "live", State.OK, "good", name=name, gpu=gpu))
        return checks

    def _put_out(self, texts: Texts) -> list[Check]:
        names = sorted(self._dispatcher.orders.spoilt)
        return [finding(texts, "inspection", State.FAIL, "spoilt", name=neutral(name, 40)) for name in names]

    def _queue(self, texts: Texts) -> Check:
        state = self._gates.of(ALL_SERVERS)
        level = State.OK if state is GateState.RUNNING else State.WARN
        return finding(texts, "queue", level, state.value)


def report_card(checks: Sequence[Check], texts: Texts) -> discord.ui.LayoutView:
    """What is wrong comes first, and as much as a message holds."""
    order = sorted(checks, key=lambda check: (State.FAIL, State.WARN, State.OK).index(check.state))
    worst = order[0].state if order else State.OK
    lines = [texts(f"doctor.head_{worst.value}")]
    room = TEXT_CHARS
    for number, check in enumerate(order):
        line = f"{_SIGNS[check.state]} **{check.label}** {neutral(check.details, LINE_CHARS)}"
        if check.fix:
            line += f"\n-# → {neutral(check.fix, LINE_CHARS)}"
        room -= len(line) + 1
        if room < 0:
            lines.append(texts("doctor.more", n=len(order) - number))
            break
        lines.append(line)
    look = button(Verb.EXAMINE, "0", texts("doctor.again"), emoji="🔄")
    return plain_card("\n".join(lines), [look], colour=_COLOURS[worst])


def _permissions(texts: Texts, names: Sequence[str]) -> Check:
    if not names:
        return finding(texts, "permissions", State.OK, "good")
    said = ", ".join(texts(f"permission.{name}") for name in names)
    return finding(texts, "permissions", State.WARN, "missing", names=said)
