"""/workers and its buttons. All of it is the operator's alone, and each press proves that anew."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.mentions import neutral
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.administration import AdminAudit
from bot.storage.machines import Machine, MachineWorker
from bot.studio.fleet.cards import (
    ASK_INVITE,
    ASK_REMOVE,
    DRAIN,
    INVITE,
    REMOVE,
    RESUME,
    asked_card,
    invite_card,
    list_card,
    removed_card,
    worker_card,
)
from bot.studio.fleet.look import WorkerSight
from bot.studio.fleet.roll import Invited, Roll
from bot.studio.model_admin.telling import answer, texts_of
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value

__all__ = ["WORKER_VERBS", "FleetDesk"]

WORKER_VERBS = (Verb.WORKERS, Verb.WORKERS_PICK, Verb.WORKER)
NAMES_SHOWN = 5


class FleetDesk:
    def __init__(self, *, roll: Roll, audit: AdminAudit, stewards: Stewards) -> None:
        self._roll = roll
        self._audit = audit
        self._stewards = stewards

    # --- commands -----------------------------------------------------------------------------------------------------

    async def show(self, interaction: Interaction) -> None:
        """Raises UserFacingError (`operator_alone`)."""
        await self._begin(interaction)
        await answer(interaction, list_card(await self._roll.sights(), 0, self._roll.version, texts_of(interaction)))

    async def add(self, interaction: Interaction, name: str) -> None:
        """Raises UserFacingError (`operator_alone`, as `Roll.add`)."""
        await self._begin(interaction)
        invited = await self._roll.add(name)
        await self._audit.add(interaction.guild_id, interaction.user.id, "machine_add", invited.machine.name)
        await self._show(interaction, invited)

    async def drain(self, interaction: Interaction, name: str) -> None:
        """Raises UserFacingError (`operator_alone`, `machine_unknown`)."""
        await self._begin(interaction)
        workers = await self._named(name)
        note = await self._drain(interaction, workers)
        await self._tell(interaction, workers, note)

    async def resume(self, interaction: Interaction, name: str) -> None:
        """Raises UserFacingError (`operator_alone`, `machine_unknown`)."""
        await self._begin(interaction)
        workers = await self._named(name)
        note = await self._resume(interaction, workers)
        await self._tell(interaction, workers, note)

    async def remove(self, interaction: Interaction, name: str) -> None:
        """Asks. Raises UserFacingError (`operator_alone`, `machine_unknown`, `worker_ours`)."""
        await self._begin(interaction)
        workers = await self._named(name)
        one = await self._roll.sight(str(workers[0].id))
        if one.ours:
            raise UserFacingError("worker_ours")
        await answer(interaction, asked_card(one, len(self._roll.cards(one)), ASK_REMOVE, texts_of(interaction)))

    def names(self, interaction: Interaction) -> Sequence[str]:
        """For autocompletion; nothing for whoever may not see them. No I/O."""
        return self._roll.names() if self._stewards.is_operator(interaction) else []

    # --- presses ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError (`operator_alone`, `worker_gone`, as the commands)."""
        self._require_operator(interaction)
        await begin_redraw(interaction)
        texts = texts_of(interaction)
        match address.verb, address.n:
            case Verb.WORKERS, page:
                await redraw(interaction, list_card(await self._roll.sights(), page or 0, self._roll.version, texts))
            case Verb.WORKERS_PICK, _:
                await self._open(interaction, chosen_value(interaction))
            case Verb.WORKER, n:
                await self._do(interaction, await self._roll.sight(address.id), n, texts)
            case _:
                raise UserFacingError("button_unknown")

    async def _do(self, interaction: Interaction, one: WorkerSight, n: int | None, texts: Texts) -> None:
        id_, note = str(one.row.id), ""
        if one.ours and n in (ASK_REMOVE, REMOVE, ASK_INVITE, INVITE):
            raise UserFacingError("worker_ours")
        match n:
            case None:
                pass
            case _ if n == DRAIN:
                note = await self._drain(interaction, [one.row])
            case _ if n == RESUME:
                note = await self._resume(interaction, [one.row])
            case _ if n in (ASK_REMOVE, ASK_INVITE):
                await redraw(interaction, asked_card(one, len(self._roll.cards(one)), n, texts))
                return
            case _ if n == REMOVE:
                await self._remove(interaction, one.row.machine, texts)
                return
            case _ if n == INVITE:
                invited = await self._roll.invite(one.row.machine)
                await self._audit.add(interaction.guild_id, interaction.user.id, "machine_invite", invited.machine.name)
                await self._open(interaction, id_)
                await self._show(interaction, invited)
                return
            case _:
                raise UserFacingError("button_unknown")
        await self._open(interaction, id_, note)

    async def _open(self, interaction: Interaction, worker_id: str, note: str = "") -> None:
        one = await self._roll.sight(worker_id)
        await redraw(interaction, worker_card(one, self._roll.version, texts_of(interaction), note=note))

    # --- what is done -------------------------------------------------------------------------------------------------

    async def _drain(self, interaction: Interaction, workers: Sequence[MachineWorker]) -> str:
        texts = texts_of(interaction)
        if not await self._roll.drain(workers):
            return texts("workers.drained_already")
        await self._audit.add(interaction.guild_id, interaction.user.id, "worker_drain", _names(workers))
        alone = self._roll.alone_with(workers)
        said = texts("workers.now_drained")
        if alone is None:
            return f"{said}\n⚠️ {texts('workers.last_one')}"
        if alone:
            named = ", ".join(neutral(name, 60) for name in alone[:NAMES_SHOWN])
            said += f"\n⚠️ {texts('workers.alone_with', n=len(alone), names=named)}"
        return said

    async def _resume(self, interaction: Interaction, workers: Sequence[MachineWorker]) -> str:
        texts = texts_of(interaction)
        if not await self._roll.resume(workers):
            return texts("workers.resumed_already")
        await self._audit.add(interaction.guild_id, interaction.user.id, "worker_resume", _names(workers))
        return texts("workers.now_resumed")

    async def _remove(self, interaction: Interaction, machine: Machine, texts: Texts) -> None:
        revoked = await self._roll.remove(machine)
        await self._audit.add(interaction.guild_id, interaction.user.id, "machine_remove", machine.name)
        keyed = machine.public_key is not None
        await redraw(interaction, removed_card(machine.name, texts, revoked=revoked, keyed=keyed))

    async def _show(self, interaction: Interaction, invited: Invited) -> None:
        await answer(interaction, invite_card(invited, self._roll.addresses, texts_of(interaction)))

    async def _tell(self, interaction: Interaction, workers: Sequence[MachineWorker], note: str) -> None:
        one = await self._roll.sight(str(workers[0].id))
        await answer(interaction, worker_card(one, self._roll.version, texts_of(interaction), note=note))

    async def _named(self, name: str) -> tuple[MachineWorker, ...]:
        await self._roll.look()
        return self._roll.named(name)

    async def _begin(self, interaction: Interaction) -> None:
        self._require_operator(interaction)
        await interaction.response.defer(ephemeral=True)

    def _require_operator(self, interaction: Interaction) -> None:
        if not self._stewards.is_operator(interaction):
            raise UserFacingError("operator_alone")


def _names(workers: Sequence[MachineWorker]) -> str:
    return ", ".join(one.name for one in workers)
