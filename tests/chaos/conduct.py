"""Carries out one plan: starts everything, has people ask, breaks and mends, and waits until all is settled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gpu_worker.protocol.outbox import INPUTS
from tests.chaos import rooms
from tests.chaos.bot import JOURNAL, SOCKET, BotLife
from tests.chaos.clocks import SET_CLOCK
from tests.chaos.machine import MachineLife
from tests.chaos.nursery import Nursery
from tests.chaos.plan import Fault, Kind, Order, Plan
from tests.chaos.wire import Wire
from tests.contract.nats_kit import Broker

__all__ = ["Asked", "Told", "Watched", "carry_out"]

SETTLED_LEASES = 60.0
"""Within so many leases after the last repair everything has to be over."""
AGAIN_S = 0.2


@dataclass
class Asked:
    """What somebody asked for, and what they were answered at once."""

    order: Order
    job: str | None = None
    interaction: int = 0
    errors: list[int] = field(default_factory=list[int])
    """Interactions that were answered with an error."""
    cancel_answer: str | None = None
    """What the bot answered to the wish that it be cancelled; None where nobody wished."""
    cancel_asked: bool = False


@dataclass
class Watched:
    asked: list[Asked]
    settled: bool
    took_s: float
    """From the last repair until all was over."""
    done: list[str] = field(default_factory=list[str])
    """Faults as they happened."""
    ends: list[str] = field(default_factory=list[str])
    """Processes that ended by themselves."""
    litter: list[str] = field(default_factory=list[str])


Told = dict[str, Any]


@dataclass
class _Process:
    work: str
    log: Path
    pid: int | None = None
    wanted: bool = True
    """Whether it is to be started again where it ended by itself."""
    lives: int = 0
    starting: bool = False
    beside: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One fault after the other ends it and starts it again."""


class _Machine:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.disk = rooms.Disk(folder / name, 48)
        self.home = folder / f"{name}.home"
        """Where its engine keeps what it goes on with; all engines write one journal."""
        self.home.mkdir()
        (self.home / "journal").symlink_to(folder / "journal")
        self.process = _Process("machine", folder / f"{name}.log")
        self.cable: str | None = None
        self.wire: Wire


BROKER = "jetstream { sync_interval: always, max_file_store: 1TB }"
"""A limit of its own: one that starts on a full disk takes what is free then, nothing, for the limit of its life."""


class _Broker(Broker):
    @property
    def pid(self) -> int:
        return self._process.pid


class Conductor:
    def __init__(self, plan: Plan, folder: Path, wishes: socket.socket, slot: int) -> None:
        """`slot`: no other run has it now; below 100."""
        self._plan, self._folder, self._slot = plan, folder, slot
        self._nursery = Nursery(wishes, self._on_end)
        self._dice = random.Random(f"conduct {plan.seed}")
        self._prefix = f"c{plan.seed}"
        self._bot = _Process("bot", folder / "bot.log")
        self._bot_disk = rooms.Disk(folder / "bot", 96)
        self._store = rooms.Disk(folder / "broker" / "store", 64)
        self._machines = [_Machine(f"m{n + 1}", folder) for n in range(plan.machines)]
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[object, int] = {}
        self._broker_turn = asyncio.Lock()
        self.watched = Watched([Asked(order) for order in plan.orders], settled=False, took_s=0.0)

    @property
    def disks(self) -> list[rooms.Disk]:
        return [self._bot_disk, self._store, *(machine.disk for machine in self._machines)]

    async def run(self) -> Watched:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._nursery.close)
            self._broker = await asyncio.to_thread(_Broker, self._folder / "broker", BROKER)
            stack.callback(self._broker.kill)
            self._bot_wire = await stack.enter_async_context(Wire(self._broker.url, f"{self._plan.seed} bot"))
            for number, machine in enumerate(self._machines):
                await self._wire(stack, machine, number)
            stack.push_async_callback(self._stop_tasks)
            await self._begin(self._bot)
            for machine in self._machines:
                await self._begin(machine.process)
            started = time.monotonic()
            doings = [self._ask(number, asked) for number, asked in enumerate(self.watched.asked)]
            doings += [self._break(fault, started) for fault in self._plan.faults]
            self._started = started
            ordering = [asyncio.create_task(doing) for doing in doings[: len(self.watched.asked)]]
            await asyncio.gather(*doings[len(self.watched.asked) :])
            await self._settle(ordering)
        return self.watched

    async def _wire(self, stack: contextlib.AsyncExitStack, machine: _Machine, number: int) -> None:
        host = "127.0.0.1"
        if rooms.can_network():
            log = str(self._folder / "network.log")
            machine.process.beside = await self._nursery.start("network", {}, log)
            host, machine.cable = await asyncio.to_thread(
                rooms.connect, machine.process.beside, self._slot * 10 + number
            )
            stack.callback(rooms.disconnect, machine.cable)
        machine.wire = await stack.enter_async_context(
            Wire(self._broker.url, f"{self._plan.seed} {machine.name}", host)
        )

    # --- processes ----------------------------------------------------------------------------------------------------

    async def _begin(self, process: _Process) -> None:
        if process.pid is not None or process.starting:
            return
        process.wanted = True
        process.lives += 1
        plan = self._plan
        if process is self._bot:
            told = asdict(BotLife(
                str(self._bot_disk.folder), str(self._folder), self._bot_wire.url, self._prefix, plan.clocks.scale,
                plan.clocks.lease_s, process.lives, plan.skews[0], self._jump(-1),
            ))  # fmt: skip
        else:
            number = next(n for n, machine in enumerate(self._machines) if machine.process is process)
            machine = self._machines[number]
            told = asdict(MachineLife(
                machine.name, plan.cards[number], str(machine.disk.folder), str(self._folder),
                str(machine.home / "journal"), machine.wire.url, self._prefix, plan.clocks.scale,
                plan.skews[number + 1], self._jump(number),
            ))  # fmt: skip
        process.starting = True
        process.pid = await self._nursery.start(process.work, told, str(process.log), process.beside)
        process.starting = False

    def _jump(self, machine: int) -> int:
        return next((f.seconds for f in self._plan.faults if f.kind is Kind.CLOCK and f.machine == machine), 0)

    def _on_end(self, pid: int, code: int) -> None:
        for process in (self._bot, *(machine.process for machine in self._machines)):
            if process.pid == pid:
                process.pid = None
                if process.wanted:
                    self.watched.ends.append(f"{self._now():.2f} {process.work} ended with {code}")
                    self._spawn(self._again(process))

    async def _again(self, process: _Process) -> None:
        await asyncio.sleep(AGAIN_S)
        if process.wanted:
            await self._begin(process)

    async def _kill(self, process: _Process, for_s: float) -> None:
        async with process.turn:
            await self._kill_now(process, for_s)

    async def _end(self, process: _Process, for_s: float) -> None:
        """As a service manager does it: in good order, and when that takes too long by force."""
        async with process.turn:
            process.wanted = False
            if process.pid is not None:
                _signal(process.pid, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(90 * self._plan.clocks.scale):
                        while process.pid is not None:
                            await asyncio.sleep(0.02)
            if process.pid is not None:
                self.watched.ends.append(f"{self._now():.2f} {process.work} did not end when it was told to")
            await self._kill_now(process, for_s)

    async def _kill_now(self, process: _Process, for_s: float) -> None:
        process.wanted = False
        if process.pid is not None:
            _signal(process.pid, signal.SIGKILL)
        await asyncio.sleep(for_s)
        while process.pid is not None:
            await asyncio.sleep(0.01)
        await self._begin(process)

    # --- people -------------------------------------------------------------------------------------------------------

    async def _ask(self, number: int, asked: Asked) -> None:
        order = asked.order
        await asyncio.sleep(order.at_s)
        asked.interaction = 1 + number * 1000
        while asked.job is None:
            said = await self._say({"do": "submit", "order": asdict(order), "interaction": asked.interaction})
            if said is not None and "error" in said:  # they press again, which is another interaction
                asked.errors.append(asked.interaction)
                asked.interaction += 1
            elif said is not None:
                asked.job = said["job"]
                break
            await asyncio.sleep(AGAIN_S)
        if order.cancel_after_s is None:
            return
        await asyncio.sleep(order.cancel_after_s)
        while asked.cancel_answer is None:
            asked.cancel_asked = True
            said = await self._say({"do": "cancel", "job": asked.job, "user": order.user})
            if said is not None and "error" not in said:
                asked.cancel_answer = said["status"] or "unknown"
                break
            await asyncio.sleep(AGAIN_S)

    async def _say(self, wish: dict[str, Any]) -> Told | None:
        """None where nobody answered: it may have been heard, or not."""
        writer = None
        try:
            async with asyncio.timeout(max(3.0, self._plan.clocks.lease_s)):
                reader, writer = await asyncio.open_unix_connection(self._folder / SOCKET)
                writer.write(json.dumps(wish).encode() + b"\n")
                line = await reader.readline()
                return json.loads(line) if line else None
        except (OSError, TimeoutError):
            return None
        finally:
            if writer is not None:
                writer.close()

    # --- breaking -----------------------------------------------------------------------------------------------------

    async def _break(self, fault: Fault, started: float) -> None:
        await asyncio.sleep(max(0.0, started + fault.at_s - time.monotonic()))
        machine = self._machines[fault.machine] if fault.machine >= 0 else None
        where = machine.name if machine is not None else "bot"
        self.watched.done.append(f"{self._now():.2f} {fault.kind} ({where}) for {fault.for_s:g} s")
        wire = machine.wire if machine is not None else self._bot_wire
        own = machine or self._machines[0]
        match fault.kind:
            case Kind.BOT_KILLED:
                await self._kill(self._bot, fault.for_s)
            case Kind.BOT_ENDED:
                await self._end(self._bot, fault.for_s)
            case Kind.BOT_STOPPED:
                await self._stop(self._bot.pid, fault.for_s)
            case Kind.MACHINE_KILLED:
                await self._kill(own.process, fault.for_s)
            case Kind.MACHINE_ENDED:
                await self._end(own.process, fault.for_s)
            case Kind.MACHINE_STOPPED:
                await self._stop(own.process.pid, fault.for_s)
            case Kind.CARD_KILLED:
                for pid in _children(own.process.pid):
                    _signal(pid, signal.SIGKILL)
            case Kind.CARD_STOPPED:
                await asyncio.gather(*(self._stop(pid, fault.for_s) for pid in _children(own.process.pid)))
            case Kind.BROKER_KILLED | Kind.BROKER_EMPTIED:
                await self._kill_broker(fault.for_s, emptied=fault.kind is Kind.BROKER_EMPTIED)
            case Kind.BROKER_STOPPED:
                async with self._broker_turn:
                    await self._stop(self._broker.pid, fault.for_s)
            case Kind.MACHINE_SILENT if own.cable is not None and not fault.lost:
                async with self._holding(own.cable, lambda: self._plug(own, False), lambda: self._plug(own, True)):
                    await asyncio.sleep(fault.for_s)
            case Kind.MACHINE_SILENT | Kind.BOT_SILENT:
                silent = own.wire if fault.kind is Kind.MACHINE_SILENT else self._bot_wire
                async with self._holding(silent, lambda: silent.silence(lost=fault.lost), silent.speak):
                    await asyncio.sleep(fault.for_s)
            case Kind.RESET:
                wire.reset()
            case Kind.SLOW:
                wire.delay_s = 0.1
                await asyncio.sleep(fault.for_s)
                wire.delay_s = 0.0
            case Kind.MEDDLED:
                wire.meddles = True
                await asyncio.sleep(fault.for_s)
                wire.meddles = False
            case Kind.MACHINE_FULL | Kind.BOT_FULL | Kind.BROKER_FULL:
                disk = {Kind.MACHINE_FULL: own.disk, Kind.BOT_FULL: self._bot_disk}.get(fault.kind, self._store)
                async with self._holding(disk, disk.fill, disk.empty):
                    for _ in range(max(1, int(fault.for_s / 0.2))):
                        await asyncio.to_thread(disk.fill)  # what was freed meanwhile, too
                        await asyncio.sleep(0.2)
            case Kind.CLOCK:
                pid = machine.process.pid if machine is not None else self._bot.pid
                if pid is not None and SET_CLOCK:
                    _signal(pid, SET_CLOCK)

    def _plug(self, machine: _Machine, plugged: bool) -> None:
        assert machine.cable is not None
        rooms.pull(machine.cable, plugged=plugged)

    async def _stop(self, pid: int | None, for_s: float) -> None:
        if pid is None:
            return
        async with self._holding(
            ("stopped", pid), lambda: _signal(pid, signal.SIGSTOP), lambda: _signal(pid, signal.SIGCONT)
        ):
            await asyncio.sleep(for_s)

    async def _kill_broker(self, for_s: float, *, emptied: bool) -> None:
        async with self._broker_turn:
            self._broker.kill()
            if emptied:
                for path in self._store.folder.iterdir():
                    if path.name != "ballast":
                        await asyncio.to_thread(shutil.rmtree, path, True)
            await asyncio.sleep(for_s)
            while True:
                try:
                    await asyncio.to_thread(self._broker.start)
                    return
                except AssertionError:  # its disk is full; whoever looks after it tries again
                    self._broker.kill()

    @contextlib.asynccontextmanager
    async def _holding(self, what: object, begin: Any, end: Any) -> AsyncGenerator[None]:
        """Two faults of one kind at one time are one, from the first's begin to the last's end."""
        self._held[what] = self._held.get(what, 0) + 1
        if self._held[what] == 1:
            await asyncio.to_thread(begin)
        try:
            yield
        finally:
            self._held[what] -= 1
            if not self._held[what]:
                end()

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _settle(self, ordering: list[asyncio.Task[None]]) -> None:
        """All is whole again: everybody gets an answer, and everything an end, within a time."""
        mended = time.monotonic()
        lease_s = self._plan.clocks.lease_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_LEASES * lease_s):
                await asyncio.gather(*ordering)
                while not self._all_told():
                    await asyncio.sleep(0.1)
                self.watched.settled = True
        self.watched.took_s = time.monotonic() - mended
        for task in ordering:
            task.cancel()
        await asyncio.gather(*ordering, return_exceptions=True)
        if self.watched.settled:
            await asyncio.sleep(lease_s)  # whoever would say it twice has the time
            await self._tidied(8 * lease_s)

    def _all_told(self) -> bool:
        told = {line["job"] for line in journal_of(self._folder) if "told" in line}
        return all(asked.job in told for asked in self.watched.asked)

    async def _tidied(self, within_s: float) -> None:
        """What nobody needs any more goes from every disk on the way."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    self.watched.litter = [
                        str(path.relative_to(self._folder))
                        for disk in self.disks
                        for path in (disk.folder / "outbox").rglob("*")
                        if path.suffix in (".fin", ".kept", ".png", ".part") and path.parent.name != INPUTS
                    ]
                    if not self.watched.litter:
                        return
                    await asyncio.sleep(0.2)

    async def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in (self._bot, *(machine.process for machine in self._machines)):
            process.wanted = False
            if process.pid is not None:
                _signal(process.pid, signal.SIGKILL)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _now(self) -> float:
        return time.monotonic() - getattr(self, "_started", time.monotonic())


def journal_of(folder: Path) -> list[Told]:
    """All that users were told; a line that is just being written is left out."""
    path = folder / JOURNAL
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _children(pid: int | None) -> list[int]:
    """Processes that this one has started itself."""
    if pid is None:
        return []
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


async def carry_out(plan: Plan, folder: Path, wishes: socket.socket, slot: int = 0) -> tuple[Watched, list[rooms.Disk]]:
    """`wishes`: of a nursery that can start bots, machines and networks; `folder` is empty. The disks are to be
    closed when they have been looked at."""
    conductor = Conductor(plan, folder, wishes, slot)
    return await conductor.run(), conductor.disks
