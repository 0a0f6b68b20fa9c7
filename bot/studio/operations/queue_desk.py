"""What the buttons of a live panel do. Every press proves anew that its presser may; two at once are a normal case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import discord

from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import JobId, UserId
from bot.domain.job import Job, JobStatus
from bot.domain.queue_rules import ALL_SERVERS, GateState, Move
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.storage.administration import AdminAudit, LivePanel
from bot.storage.jobs import Jobs
from bot.storage.queue_gates import QueueGates
from bot.studio.model_admin.telling import answer, texts_of
from bot.studio.operations.panels import QueuePanels
from bot.studio.operations.queue_card import (
    BACK,
    CLOSE,
    DRAIN,
    FRONT,
    GO_ON,
    LOOK,
    PAUSE,
    SERVER_BACK,
    SERVER_FRONT,
    job_menu,
)
from bot.studio.operations.snapshot import QueueLine
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from bot.ui.selects import chosen_value

__all__ = ["QUEUE_VERBS", "QueueDesk"]

QUEUE_VERBS = (Verb.QUEUE_PANEL, Verb.QUEUE_JOBS, Verb.QUEUE_MOVE, Verb.QUEUE_DROP)
_STATES = {PAUSE: GateState.PAUSED, GO_ON: GateState.RUNNING, DRAIN: GateState.DRAINING}
_MOVES = {
    SERVER_FRONT: Move.SERVER_FRONT,
    SERVER_BACK: Move.SERVER_BACK,
    FRONT: Move.FRONT,
    BACK: Move.BACK,
}

Drop = Callable[[Job, UserId], Awaitable[JobStatus | None]]
"""Cancels somebody's job by the word of somebody who may."""


class QueueDesk:
    def __init__(
        self,
        *,
        jobs: Jobs,
        dispatcher: Dispatcher,
        gates: QueueGates,
        audit: AdminAudit,
        panels: QueuePanels,
        stewards: Stewards,
        drop: Drop,
    ) -> None:
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._gates = gates
        self._audit = audit
        self._panels = panels
        self._stewards = stewards
        self._drop_job = drop

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        match address.verb:
            case Verb.QUEUE_PANEL:
                await self._panel(interaction, await self._panels.named(address.id), address.n)
            case Verb.QUEUE_JOBS:
                await self._menu(interaction, await self._panels.named(address.id))
            case Verb.QUEUE_MOVE:
                await self._move(interaction, JobId(address.id), address.n)
            case Verb.QUEUE_DROP:
                await self._drop(interaction, JobId(address.id))
            case _:
                raise UserFacingError("button_unknown")

    async def _panel(self, interaction: Interaction, panel: LivePanel, n: int | None) -> None:
        self._of_panel(interaction, panel)
        if n in _STATES:
            await self.set_state(interaction, panel.guild_id, _STATES[n])
            return
        await interaction.response.defer()
        if n == CLOSE:
            await self._panels.close(panel.id)
            # The answer to a press is the message itself; deleting it needs no permission in the channel.
            try:
                await interaction.delete_original_response()
            except discord.NotFound:
                return  # somebody else was faster
        elif n == LOOK:
            self._panels.renew(panel.id)
        else:
            raise UserFacingError("button_unknown")

    async def set_state(self, interaction: Interaction, guild_id: int, state: GateState) -> None:
        """Of one server, or of all (0). The caller has proved that this person may."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        changed = await self._gates.put(guild_id, state, interaction.user.id)
        if changed:
            scope = "all" if guild_id == ALL_SERVERS else "server"
            await self._audit.add(interaction.guild_id, interaction.user.id, f"queue_{state.value}", scope)
            await self._dispatcher.gates_changed()
        self._panels.renew()
        texts = texts_of(interaction)
        where = texts("panel.scope_all" if guild_id == ALL_SERVERS else "panel.scope_server")
        await say(interaction, texts(f"panel.now_{state.value}" if changed else "panel.already", where=where))

    async def _menu(self, interaction: Interaction, panel: LivePanel) -> None:
        steward = self._of_panel(interaction, panel)
        job = await self._waiting(interaction, JobId(chosen_value(interaction)), steward)
        private = await self._jobs.private_among([job.id])
        line = QueueLine(job, (await self._dispatcher.standings()).get(job.id), job.id in private)
        await answer(interaction, job_menu(line, texts_of(interaction), operator=steward.operator))

    async def _move(self, interaction: Interaction, job_id: JobId, n: int | None) -> None:
        move = _MOVES.get(n or 0)
        if move is None:
            raise UserFacingError("button_unknown")
        steward = self._stewards.pressing(interaction)
        job = await self._waiting(interaction, job_id, steward)
        if not move.server_only and not steward.operator:
            raise UserFacingError("operator_alone")
        if move.server_only and job.guild_id is None:
            raise UserFacingError("button_unknown")
        await interaction.response.defer(ephemeral=True, thinking=True)
        if not await self._dispatcher.move(job.id, move):
            raise UserFacingError("panel_job_started")
        await self._audit.add(interaction.guild_id, interaction.user.id, f"move_{move.value}", job.id)
        self._panels.renew()
        await say(interaction, texts_of(interaction)("panel.moved_front" if move.to_front else "panel.moved_back"))

    async def _drop(self, interaction: Interaction, job_id: JobId) -> None:
        steward = self._stewards.pressing(interaction)
        job = await self._waiting(interaction, job_id, steward)
        await interaction.response.defer(ephemeral=True, thinking=True)
        status = await self._drop_job(job, UserId(interaction.user.id))
        texts = texts_of(interaction)
        if status not in (JobStatus.CANCELLED, JobStatus.ASSIGNED):
            raise UserFacingError("panel_job_over")
        await self._audit.add(interaction.guild_id, interaction.user.id, "drop", job.id)
        self._panels.renew()
        await say(interaction, texts("panel.dropped" if status is JobStatus.CANCELLED else "panel.dropping"))

    # --- who may ------------------------------------------------------------------------------------------------------

    def _of_panel(self, interaction: Interaction, panel: LivePanel) -> Steward:
        """Raises UserFacingError (`admins_only`, `operator_alone`)."""
        steward = self._stewards.managing(interaction)
        if not steward.operator and panel.guild_id != steward.guild_id:
            raise UserFacingError("operator_alone")
        return steward

    async def _waiting(self, interaction: Interaction, job_id: JobId, steward: Steward) -> Job:
        """Raises UserFacingError (`panel_job_over`, `operator_alone`)."""
        job = await self._jobs.get(job_id)
        if job is None or not job.status.waiting:
            raise UserFacingError("panel_job_over")
        if not steward.operator and (job.guild_id is None or job.guild_id != interaction.guild_id):
            raise UserFacingError("operator_alone")
        return job
