"""Carries out what operators want of workers: drained ones run dry, dismissed ones hand everything back."""

from __future__ import annotations

import logging

from bot.dispatch.floor import PAUSE, Floor
from bot.dispatch.handing import HandingOut
from bot.dispatch.losses import Losses
from bot.dispatch.orders import REMOVED, Orders
from bot.dispatch.workers import WorkerView
from bot.domain.ids import JobId
from gpu_worker.protocol import messages as m

__all__ = ["Mustering"]

log = logging.getLogger(__name__)


class Mustering:
    def __init__(self, floor: Floor, losses: Losses, handing: HandingOut) -> None:
        self._floor = floor
        self._losses = losses
        self._handing = handing

    async def obey(self, orders: Orders) -> None:
        """From now on. Returns once the table has back what is taken from workers."""
        self._floor.orders = orders
        # All of them first: what one gives back must not be handed to another.
        dismissed = [self._floor.workers.pop(name) for name in list(self._floor.workers) if orders.dismisses(name)]
        newly = [view for view in self._floor.workers.values() if orders.drains(view.name) and not view.drained]
        for view in self._floor.workers.values():
            view.drained = orders.drains(view.name)
        for view in dismissed:
            await self._dismiss(view)
        for view in newly:
            await self._relieve(view)
        for job_id, orphan in list(self._floor.orphans.items()):
            if orders.dismisses(orphan.worker):
                await self._losses.lose(job_id, orphan.attempt, blamed=False, outcome=REMOVED)
        self._floor.changed()

    async def _relieve(self, view: WorkerView) -> None:
        """What it only holds for later is for others; a training stops at its next step and goes on elsewhere."""
        for held in list(view.assigned.values()):
            if held.trains:
                await self._floor.send_cancel(view.name, held.job, held.attempt, PAUSE)
            elif not held.started:
                await self._handing.take_back(view, held, "withdrawn")
                await self._floor.send_cancel(view.name, held.job, held.attempt, "drained")

    async def _dismiss(self, view: WorkerView) -> None:
        log.info("worker %s is dismissed; it held %s jobs", view.name, len(view.assigned))
        for held in list(view.assigned.values()):
            if held.charged is not None and not held.trains:
                self._floor.fair.refund(held.charged)
            await self._losses.lose(JobId(held.job), held.attempt, blamed=False, outcome=REMOVED, held=held)
            view.assigned.pop(held.job, None)
            # It may be able to hear that still, and need not heat the room for nothing.
            await self._floor.send_cancel(view.name, held.job, held.attempt, REMOVED)

    async def turn_away(self, message: m.ToBot) -> None:
        """What a dismissed machine says: nothing of it is stored, and its mail goes."""
        match message:
            case m.Done() | m.Failed() | m.Cancelled() | m.Paused():
                log.warning("how job %s ended is not taken: %s was removed", message.job, message.worker)
                entry = m.Settled(worker=message.worker, job=message.job, attempt=message.attempt)
                await self._floor.transport.settled(entry)
            case m.Partial():
                await self._floor.transport.taken(message)
            case m.Heartbeat() | m.Hello():
                for running in message.running:
                    await self._floor.send_cancel(message.worker, running.job, running.attempt, REMOVED)
            case m.AssignReply() | m.Progress():
                pass
