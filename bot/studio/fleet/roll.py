"""The roll of all workers, in step with who is there, with what the dispatcher obeys and with the broker's keys."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bot.broker.keys import BrokerError, Keys
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.orders import Orders
from bot.errors import UserFacingError
from bot.storage.facts import Timings
from bot.storage.machines import Machine, Machines, MachineWorker, Seen
from bot.studio.fleet.look import WorkerSight, own_version, sights, version_text
from gpu_worker.protocol.nats.invite import Invite
from gpu_worker.protocol.nats.subjects import is_embedded_name, is_machine_name

__all__ = ["BY_INSPECTION", "BY_OPERATOR", "Invited", "Roll"]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
WRITE_EVERY_S = 300.0
"""When a worker that stays was seen last is written this often; a bot that is killed knows it no better."""
WARNED_MAX = 1000
"""Versions; one that calls itself another with each hello fills neither memory nor log."""
BY_OPERATOR, BY_INSPECTION = "operator", "pictures"
"""Why a worker is drained."""
_TOLD_LATER = frozenset({"unreachable"})
"""A broker that is not there takes the keys up once it is."""
_SAID: Mapping[str, str] = MappingProxyType(
    {
        "unreachable": "broker_unreachable",
        "refused": "broker_refused",
        "unwritable": "broker_unwritable",
        "address": "broker_address",
        "long": "broker_long",
    }
)


class Invited:
    """What an operator is shown once."""

    def __init__(self, machine: Machine, text: str, snippet: str, *, later: bool) -> None:
        """`snippet` is empty where we look after the broker; `later`: it is away, and lets nobody in yet."""
        self.machine = machine
        self.text = text
        self.snippet = snippet
        self.later = later


class Roll:
    def __init__(
        self,
        *,
        machines: Machines,
        dispatcher: Dispatcher,
        timings: Timings,
        keys: Keys | None,
        ours: Callable[[str], bool] = is_embedded_name,
        version: str | None = None,
    ) -> None:
        """`ours` knows the names of the workers that this bot starts itself; `keys` None: there is no broker."""
        self._machines = machines
        self._dispatcher = dispatcher
        self._timings = timings
        self._keys = keys
        self._ours = ours
        self._version = version or own_version()
        self._turn = asyncio.Lock()
        """Of changes: what is told to the broker and the dispatcher is always the newest."""
        self._broker_knows = False
        """Whose keys count now."""
        self._last: dict[str, Seen] = {}
        self._written: dict[str, float] = {}
        self._warned: set[tuple[str, str]] = set()
        self._task: asyncio.Task[None] | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Before the dispatcher starts: a drained worker gets nothing from its first word on."""
        await self._machines.load()
        await self._dispatcher.obey(self._orders())

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="fleet")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._write(list(self._last.values()))

    async def _watch(self) -> None:
        while True:
            try:
                await self._catch_up()
                await self.look()
            except Exception:
                log.exception("the roll of workers could not be kept; it is tried again")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _catch_up(self) -> None:
        """At the start, and after a change that the broker could not be told."""
        if self._keys is None or self._broker_knows:
            return
        async with self._turn:
            try:
                await self._keys.allow(self._machines.keys())
                self._broker_knows = True
            except BrokerError as error:
                log.error("the broker was not told whose keys it is to let in: %s; it is tried again", error)

    # --- who is there -------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Who came is written at once, and when somebody went; of all others now and then."""
        now = time.time()
        seen = {view.name: Seen(view.name, view.hello.gpu, now) for view in self._dispatcher.workers}
        self._warn()
        due = [one for name, one in seen.items() if now - self._written.get(name, 0.0) >= WRITE_EVERY_S]
        gone = [one for name, one in self._last.items() if name not in seen]
        self._last = seen
        await self._write([*due, *gone])
        for one in gone:
            self._written.pop(one.name, None)

    async def _write(self, seen: Sequence[Seen]) -> None:
        await self._machines.see(seen)
        self._written.update((one.name, one.at) for one in seen)

    def _warn(self) -> None:
        """Each version of each worker once."""
        for view in self._dispatcher.workers:
            mark = (view.name, version_text(view.hello.app_version))
            known = mark in self._warned or len(self._warned) >= WARNED_MAX
            if view.hello.app_version != self._version and not known:
                self._warned.add(mark)
                log.warning("worker %s is of version %s, this bot of %s; update the older one", *mark, self._version)

    async def sights(self) -> list[WorkerSight]:
        """As it is now. Of the bot's own those that are there, or that somebody drained."""
        await self.look()
        found = sights(
            self._machines.workers, self._dispatcher.workers, self._timings, ours=self._ours, version=self._version
        )
        return [one for one in found if one.doing.there or one.drained or not one.ours]

    async def sight(self, worker_id: str) -> WorkerSight:
        """Raises UserFacingError (`worker_gone`) for one that was removed."""
        found = {str(one.row.id): one for one in await self.sights()}
        if worker_id not in found:
            raise UserFacingError("worker_gone")
        return found[worker_id]

    def cards(self, one: WorkerSight) -> tuple[MachineWorker, ...]:
        """All workers of its machine."""
        return self._machines.of(one.row.machine)

    def names(self) -> list[str]:
        """What commands take: machines, and cards of those that have several. No I/O."""
        return list(self._targets())

    def _targets(self) -> dict[str, tuple[MachineWorker, ...]]:
        found: dict[str, tuple[MachineWorker, ...]] = {}
        for machine in self._machines.machines:
            cards = self._machines.of(machine)
            found[machine.name] = cards
            if len(cards) > 1:
                found |= {f"{machine.name}.{one.card}": (one,) for one in cards}
        return found

    def named(self, name: str) -> tuple[MachineWorker, ...]:
        """All cards of a machine, or one of them: `garage`, `garage.1`. Raises UserFacingError (`machine_unknown`)."""
        wanted = name.strip().casefold()
        for target, workers in self._targets().items():
            if target.casefold() == wanted or (len(workers) == 1 and workers[0].name.casefold() == wanted):
                return workers
        raise UserFacingError("machine_unknown", name=name.strip())

    # --- orders -------------------------------------------------------------------------------------------------------

    async def drain(self, workers: Sequence[MachineWorker], reason: str = BY_OPERATOR) -> int:
        """How many of them were not drained before. Also over restarts, until somebody lets them go on."""
        async with self._turn:
            changed = await self._machines.drain([one.id for one in workers], reason)
            await self._dispatcher.obey(self._orders())
        return changed

    async def put_out(self, worker: str) -> None:
        """All cards of its machine: it has sent what was no result, once too often."""
        await self.look()
        machine = next((one.machine for one in self._machines.workers if one.name == worker), None)
        if machine is not None:
            await self.drain(self._machines.of(machine), BY_INSPECTION)

    async def resume(self, workers: Sequence[MachineWorker]) -> int:
        """How many of them were drained."""
        async with self._turn:
            changed = await self._machines.resume([one.id for one in workers])
            await self._dispatcher.obey(self._orders())
        return changed

    def alone_with(self, workers: Sequence[MachineWorker]) -> list[str] | None:
        """Checkpoints that nobody else who takes work has; None where nobody else takes work at all."""
        mine = {one.name.casefold() for one in workers}
        others = [v for v in self._dispatcher.workers if v.takes_work and v.name.casefold() not in mine]
        if not others:
            return None
        theirs = set[str]().union(*(view.checkpoints for view in others))
        own = (view.checkpoints for view in self._dispatcher.workers if view.name.casefold() in mine)
        return sorted(set[str]().union(*own) - theirs)

    def _orders(self) -> Orders:
        drained = frozenset(one.name for one in self._machines.workers if one.drained_at is not None)
        spoilt = frozenset(one.name for one in self._machines.workers if one.drained_for == BY_INSPECTION)
        return Orders(drained, frozenset(name.casefold() for name in self._machines.removed), spoilt)

    # --- keys ---------------------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> tuple[str, ...]:
        """What machines dial."""
        return self._keys.addresses if self._keys is not None else ()

    @property
    def version(self) -> str:
        """Of this bot."""
        return self._version

    async def add(self, name: str) -> Invited:
        """Raises UserFacingError (`workers_no_broker`, `machine_name`, `machine_name_ours`, `machine_taken`,
        `broker_…`)."""
        name = name.strip()
        if self._keys is None:
            raise UserFacingError("workers_no_broker")
        if not is_machine_name(name):
            raise UserFacingError("machine_name")
        if is_embedded_name(name.casefold()):
            raise UserFacingError("machine_name_ours", name=name)
        async with self._turn:
            known = self._machines.named(name)
            if known is not None and known.public_key is not None:
                raise UserFacingError("machine_taken", name=known.name)
            return await self._invite(name)

    async def invite(self, machine: Machine) -> Invited:
        """A new key; the old one is revoked. Raises UserFacingError (`worker_gone`, `worker_ours`, as `add`)."""
        async with self._turn:
            if self._machines.named(machine.name) is None:
                raise UserFacingError("worker_gone")
            if self._ours(machine.name):
                raise UserFacingError("worker_ours")
            return await self._invite(machine.name)

    async def _invite(self, name: str) -> Invited:
        if self._keys is None:
            raise UserFacingError("workers_no_broker")
        try:
            invite, public_key = await self._keys.invite(name)
            text = _text(invite)
        except BrokerError as error:
            raise _told(error) from error
        machine = await self._machines.invite(name, public_key)
        await self._dispatcher.obey(self._orders())
        later = await self._tell_broker()
        return Invited(machine, text, self._snippet(name, public_key), later=later)

    async def _tell_broker(self) -> bool:
        """Whether it hears of it later. Raises UserFacingError (`broker_…`): what the table says holds all the same,
        and it is tried again."""
        assert self._keys is not None
        self._broker_knows = False
        try:
            await self._keys.allow(self._machines.keys())
            self._broker_knows = True
        except BrokerError as error:
            log.error("the broker was not told whose keys it is to let in: %s", error)
            if error.reason in _TOLD_LATER:
                return True
            raise _told(error) from error
        return False

    def _snippet(self, name: str, public_key: str) -> str:
        if self._keys is None or self._keys.looked_after:
            return ""
        return self._keys.snippet(name, public_key)

    async def remove(self, machine: Machine) -> bool:
        """Nothing of it is taken from now on, and its jobs are back in the queue; whether its key is revoked, too, or
        somebody has to do that by hand. Raises UserFacingError (`worker_gone`, `worker_ours`, `broker_…`)."""
        if self._ours(machine.name):
            raise UserFacingError("worker_ours")
        async with self._turn:
            known = self._machines.named(machine.name)
            if known is None or not await self._machines.remove(known):
                raise UserFacingError("worker_gone")
            for worker in [name for name in self._last if name.partition(".")[0] == known.name]:
                self._last.pop(worker)
                self._written.pop(worker, None)
            await self._dispatcher.obey(self._orders())
            if self._keys is None or known.public_key is None:
                return False
            later = await self._tell_broker()
            return self._keys.looked_after and not later


def _text(invite: Invite) -> str:
    """Raises BrokerError."""
    try:
        return invite.text
    except ValueError as error:
        raise BrokerError("long", str(error)) from error


def _told(error: BrokerError) -> UserFacingError:
    log.error("a key was not made: %s", error)
    return UserFacingError(_SAID[error.reason])
