"""What a script's card says of the line: whether it is held, whether anything can draw, and when the grid will be
there."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from bot.delivery.machine import Machine, MachineState
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.job import Job
from bot.i18n import Texts
from bot.storage.queue_gates import QueueGates
from bot.storage.scripts import Scripts

__all__ = ["Outlook", "Outlooks"]

SOON_S = 3
ROUGHLY_S = 30
"""An ETA that wavers by less is no news."""


@dataclass(frozen=True, slots=True)
class Outlook:
    key: str | None
    """A sentence of `card.…` that stands instead of the time."""
    eta_s: int | None
    """Until the last of its sheets is drawn, rounded."""
    drawing: bool = False
    """One of its sheets is being drawn now."""

    def sentence(self, texts: Texts) -> str:
        """Empty where nothing is known."""
        if self.key is not None:
            return texts(self.key)
        if self.eta_s is None or self.eta_s <= SOON_S:
            return ""
        # Discord renders it in the reader's own time and counts down by itself.
        return texts("card.eta", when=f"<t:{math.ceil(time.time() + self.eta_s)}:R>")


class Outlooks:
    def __init__(self, *, scripts: Scripts, dispatcher: Dispatcher, machine: Machine, gates: QueueGates) -> None:
        self._scripts = scripts
        self._dispatcher = dispatcher
        self._machine = machine
        self._gates = gates

    async def of(self, job: Job) -> Outlook:
        if self._gates.holds(job.guild_id):
            return Outlook("card.paused", None)
        state = self._machine.state
        if state is not MachineState.READY:
            return Outlook("card.machine_away" if state is MachineState.AWAY else "card.machine_starting", None)
        standings = await self._dispatcher.standings()
        sheets = [standings.get(sheet) for sheet in await self._scripts.sheets(job.id)]
        drawing = any(sheet is not None and sheet.position == 0 and not sheet.loading for sheet in sheets)
        etas = [None if sheet is None else sheet.eta_s for sheet in sheets]
        known = [eta for eta in etas if eta is not None]
        if not known or len(known) < len(etas):
            return Outlook(None, None, drawing)
        return Outlook(None, ROUGHLY_S * math.ceil(max(known) / ROUGHLY_S), drawing)
