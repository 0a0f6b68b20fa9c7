"""Machines that draw for this bot, their keys, and their cards, which are its workers.

Kept in memory beside the table.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.storage.database import Database
from gpu_worker.protocol.nats.subjects import is_worker_name, machine_and_card, worker_name

__all__ = ["UNINVITED_MAX", "Machine", "MachineWorker", "Machines", "Seen"]

UNINVITED_MAX = 2000
"""So many machines are remembered that joined without an invite: at a broker without keys a name costs nothing."""
GPU_CHARS = 100


@dataclass(frozen=True, slots=True)
class Machine:
    id: int
    name: str
    public_key: str | None
    """None: it joined without an invite, or it is the bot's own."""
    invited_at: float | None


@dataclass(frozen=True, slots=True)
class MachineWorker:
    """One card of a machine."""

    id: int
    machine: Machine
    card: int
    gpu: str
    seen_at: float | None
    """None: never."""
    drained_at: float | None
    drained_for: str
    """A key below `workers.drained_for`."""

    @property
    def name(self) -> str:
        return worker_name(self.machine.name, self.card)


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker that is there, or was until just now."""

    name: str
    gpu: str
    at: float


class Machines:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._turn = asyncio.Lock()
        self.workers: tuple[MachineWorker, ...] = ()
        """Of all machines that were not removed, by name and card."""
        self.machines: tuple[Machine, ...] = ()
        self._cards: Mapping[int, tuple[MachineWorker, ...]] = MappingProxyType({})
        """By machine."""
        self.removed: frozenset[str] = frozenset()
        """Names of machines that were."""

    async def load(self) -> None:
        rows = await self._db.all(
            "SELECT w.id AS worker_id, w.card, w.gpu, w.seen_at, w.drained_at, w.drained_for, m.* FROM machines m "
            "LEFT JOIN machine_workers w ON w.machine_id = m.id ORDER BY m.name, w.card"
        )
        machines = {row["id"]: Machine(row["id"], row["name"], row["public_key"], row["invited_at"]) for row in rows}
        self.removed = frozenset(row["name"] for row in rows if row["removed_at"] is not None)
        self.workers = tuple(
            MachineWorker(
                row["worker_id"], machines[row["id"]], row["card"], row["gpu"], row["seen_at"], row["drained_at"],
                row["drained_for"],
            )
            for row in rows
            if row["removed_at"] is None and row["worker_id"] is not None
        )  # fmt: skip
        cards: dict[int, tuple[MachineWorker, ...]] = {}
        for one in self.workers:
            cards[one.machine.id] = (*cards.get(one.machine.id, ()), one)
        self._cards = MappingProxyType(cards)
        self.machines = tuple(its[0].machine for its in cards.values())

    def keys(self) -> Mapping[str, str]:
        """Public ones, by machine."""
        return {one.name: one.public_key for one in self.machines if one.public_key is not None}

    def named(self, name: str) -> Machine | None:
        """Whatever its case."""
        return next((one for one in self.machines if one.name.casefold() == name.casefold()), None)

    def worker(self, id_: int) -> MachineWorker | None:
        return next((one for one in self.workers if one.id == id_), None)

    def of(self, machine: Machine) -> tuple[MachineWorker, ...]:
        return self._cards.get(machine.id, ())

    async def invite(self, name: str, public_key: str) -> Machine:
        """The machine has this key from now on; one that was removed is back, without what was known of it. Drained
        cards stay so."""
        async with self._turn:
            async with self._db.write() as tx:
                await tx.execute(
                    "INSERT INTO machines (name, public_key, invited_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                    "SET name = excluded.name, public_key = excluded.public_key, invited_at = excluded.invited_at, "
                    "removed_at = NULL",
                    (name, public_key, time.time()),
                )
                await tx.execute(
                    "INSERT OR IGNORE INTO machine_workers (machine_id, card) "
                    "SELECT id, 1 FROM machines WHERE name = ?",
                    (name,),
                )
            await self.load()
        machine = self.named(name)
        assert machine is not None, "written just now"
        return machine

    async def remove(self, machine: Machine) -> bool:
        """Whether this call did it: of two at once one does. What was invited anew meanwhile stays."""
        async with self._turn:
            async with self._db.write() as tx:
                cursor = await tx.execute(
                    "UPDATE machines SET removed_at = ?, public_key = NULL WHERE id = ? AND removed_at IS NULL "
                    "AND public_key IS ?",
                    (time.time(), machine.id, machine.public_key),
                )
                done = cursor.rowcount == 1
                if done:
                    await tx.execute("DELETE FROM machine_workers WHERE machine_id = ?", (machine.id,))
            await self.load()
        return done

    async def drain(self, ids: Collection[int], reason: str) -> int:
        """How many of these workers were not drained before."""
        return await self._mark(ids, "drained_at = ?, drained_for = ?", (time.time(), reason), "AND drained_at IS NULL")

    async def resume(self, ids: Collection[int]) -> int:
        """How many of these workers were drained."""
        return await self._mark(ids, "drained_at = NULL, drained_for = ''", (), "AND drained_at IS NOT NULL")

    async def _mark(self, ids: Collection[int], what: str, values: tuple[object, ...], where: str) -> int:
        changed = 0
        async with self._turn:
            async with self._db.write() as tx:
                for id_ in ids:
                    sql = f"UPDATE machine_workers SET {what} WHERE id = ? {where}"  # noqa: S608 - texts of ours
                    cursor = await tx.execute(sql, (*values, id_))
                    changed += cursor.rowcount
            if changed:
                await self.load()
        return changed

    async def see(self, seen: Iterable[Seen]) -> None:
        """Who is there, or was until just now. A worker nobody knew is written; one of a removed machine is not."""
        rows = [(*machine_and_card(one.name), one) for one in seen if is_worker_name(one.name)]
        known = {one.name.casefold() for one in self.machines} | {name.casefold() for name in self.removed}
        new = {machine for machine, _, _ in rows if machine.casefold() not in known}
        room = max(0, UNINVITED_MAX - sum(one.public_key is None for one in self.machines))
        left_out = set(sorted(new)[room:])
        rows = [row for row in rows if row[0] not in left_out]
        if not rows:
            return
        async with self._turn:
            async with self._db.write() as tx:
                for machine, card, one in rows:
                    await tx.execute("INSERT OR IGNORE INTO machines (name) VALUES (?)", (machine,))
                    await tx.execute(
                        "INSERT INTO machine_workers (machine_id, card, gpu, seen_at) SELECT id, ?, ?, ? FROM machines "
                        "WHERE name = ? AND removed_at IS NULL ON CONFLICT (machine_id, card) DO UPDATE SET "
                        "gpu = excluded.gpu, seen_at = excluded.seen_at",
                        (card, one.gpu[:GPU_CHARS], one.at, machine),
                    )
            await self.load()
