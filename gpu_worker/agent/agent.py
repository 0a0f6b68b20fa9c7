"""A machine: one connection to the broker, and a worker for each of its cards."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpu_worker.agent.card import Card
from gpu_worker.agent.leftovers import Leftovers
from gpu_worker.agent.stock import Stock, StockPlaces, StockRules
from gpu_worker.agent.times import AgentTimes
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.frames import pack
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.link import Link, LinkTimes
from gpu_worker.protocol.nats.mail import Wanted, chunk_of
from gpu_worker.protocol.nats.subjects import Subjects, inbox_of, worker_name

__all__ = ["Agent"]

log = logging.getLogger(__name__)


class Agent:
    def __init__(
        self,
        access: Access | str,
        machine: str,
        *,
        commands: Sequence[ChildCommand],
        outbox: Path,
        places: StockPlaces,
        rules: StockRules | None = None,
        subjects: Subjects | None = None,
        times: AgentTimes | None = None,
        link_times: LinkTimes | None = None,
    ) -> None:
        """`commands`: one for each card; `outbox`: where its children leave results, a folder for each."""
        self._machine = machine
        self._subjects = subjects or Subjects()
        self._link = Link(access, name=f"machine {machine}", inbox=inbox_of(machine), times=link_times)
        times = times or AgentTimes()
        stock = Stock(self._get, places, rules)
        names = [worker_name(machine, number) for number in range(1, len(commands) + 1)]
        self._cards = [
            Card(
                name, boot=secrets.token_hex(8), link=self._link, subjects=self._subjects, box=outbox / name,
                command=command, stock=stock, on_new_models=self._rescan, times=times,
            )
            for name, command in zip(names, commands, strict=True)
        ]  # fmt: skip
        self._leftovers = Leftovers(self._link, self._subjects, machine, outbox, len(commands), times)
        self._ending = asyncio.Event()
        self._at_once = asyncio.Event()

    def stop(self) -> None:
        """From a signal's handler: once to finish what is being drawn, twice to end at once."""
        if self._ending.is_set():
            self._at_once.set()
        self._ending.set()

    @property
    def hurried(self) -> bool:
        return self._at_once.is_set()

    def pids(self) -> Mapping[str, int]:
        """Of the children that live, by the names of their workers."""
        return {card.worker: card.pid for card in self._cards if card.pid is not None}

    async def run(self) -> None:
        """Until `stop`."""
        self._link.open()
        leftovers = asyncio.create_task(self._leftovers.run(), name="leftovers")
        try:
            await asyncio.gather(*(card.start() for card in self._cards))
            await self._ending.wait()
            busy = sum(not card.idle for card in self._cards)
            log.info(
                "ending%s", f"; {busy} still drawing, which is finished first (Ctrl-C again: at once)" * bool(busy)
            )
            await self._drain()
        finally:
            leftovers.cancel()
            await asyncio.gather(leftovers, return_exceptions=True)
            await asyncio.gather(*(card.end() for card in self._cards))
            await self._link.close()

    async def _drain(self) -> None:
        draining = asyncio.gather(*(card.drain() for card in self._cards))
        impatient = asyncio.ensure_future(self._at_once.wait())
        await asyncio.wait((draining, impatient), return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if not draining.done():
            draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)

    async def _rescan(self) -> None:
        await asyncio.gather(*(card.rescan() for card in self._cards))

    async def _get(self, wanted: Wanted) -> bytes:
        answer = await self._link.request(self._subjects.inputs(self._machine), pack(wanted))
        return chunk_of(answer.data)
