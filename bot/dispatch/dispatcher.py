"""The one writer over the job table: claims by policy, hands to workers, settles what comes back.

Every change is a guarded UPDATE; `(job, attempt)` fences assign, cancel and requeue; the first `done` of any attempt of
an unfinished job wins. A lease is judged on this process's monotonic clock only, and never while the transport is cut
off. What memory and table disagree about is settled by the table: an attempt it calls running that nobody holds is an
orphan, and an orphan whose time is up is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from bot.dispatch.composing import Composer
from bot.dispatch.entitled import Entitled, Serves
from bot.dispatch.fetching import FetchRates
from bot.dispatch.floor import PAUSE, Floor, Listener
from bot.dispatch.handing import HandingOut
from bot.dispatch.inspecting import Inspecting
from bot.dispatch.leases import Leases, Orphan
from bot.dispatch.losses import Losses
from bot.dispatch.mustering import Mustering
from bot.dispatch.needs import ModelNeeds
from bot.dispatch.orders import Orders
from bot.dispatch.reception import Reception
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.dispatch.standing import Standing, stand
from bot.dispatch.trainings import TrainingLog
from bot.dispatch.transport import BotTransport, WorkerGone
from bot.dispatch.warming import Warming
from bot.dispatch.workers import Assigned, WorkerView
from bot.domain.ids import JobId, UserId
from bot.domain.job import Job, JobStatus, NewJob
from bot.domain.queue_rules import Move
from bot.inspection import Inspection
from bot.storage.facts import Timings
from bot.storage.jobs import Jobs
from bot.storage.queue_gates import QueueGates
from bot.storage.scripts import Scripts
from gpu_worker.protocol import messages as m

__all__ = ["Dispatcher", "Leases", "Listener", "Standing"]

log = logging.getLogger(__name__)

RECENT_USE_S = 3600.0
STANDINGS_FRESH_S = 1.0


class Dispatcher:
    def __init__(
        self,
        *,
        jobs: Jobs,
        scripts: Scripts,
        timings: Timings,
        settler: Settler,
        resolver: SpecResolver,
        transport: BotTransport,
        listener: Listener,
        leases: Leases | None = None,
        previews: Callable[[Job], Awaitable[m.PreviewWish]] | None = None,
        gates: QueueGates | None = None,
        inspection: Inspection | None = None,
        needs: ModelNeeds | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without an `inspection` what remote workers send is taken as it is; without `needs` they fetch nothing."""
        self._jobs = jobs
        self._scripts = scripts
        self._timings = timings
        self._floor = floor = Floor(
            transport=transport,
            listener=listener,
            leases=leases or Leases(),
            previews=previews,
            gates=gates,
            clock=clock,
        )
        self._settler = settler
        self._parts = settler.parts
        if self._parts is not None:
            floor.forget = self._parts.forget
        floor.workers.needs = needs
        composer = Composer(transport, floor.leases, resolver=resolver, settler=settler, needs=needs)
        entitled = Entitled(jobs, partial(composer.compose, fetches=True), clock)
        if isinstance(transport, Serves):
            transport.serve(entitled)
        rates = FetchRates(floor.workers)
        trainings = TrainingLog(settler.trainings, timings)
        self._losses = Losses(floor, jobs=jobs, settler=settler, trainings=trainings)
        self._inspecting = Inspecting(floor, jobs, inspection)
        self._reception = Reception(
            floor, self._losses, jobs=jobs, timings=timings, settler=settler, trainings=trainings,
            inspecting=self._inspecting, warming=Warming(floor, entitled), rates=rates,
        )  # fmt: skip
        self._inspection = inspection
        self._handing = HandingOut(
            floor, self._losses, jobs=jobs, timings=timings, settler=settler, composer=composer, entitled=entitled,
            rates=rates,
        )  # fmt: skip
        self._mustering = Mustering(floor, self._losses, self._handing)
        self._tasks: list[asyncio.Task[None]] = []
        self._standings: Mapping[JobId, Standing] = {}
        self._standings_of = (-1, 0.0)
        self._standings_turn = asyncio.Lock()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reconciles what a crash left, then opens the transport."""
        self._floor.fair.resume(await self._jobs.recent_use(time.time() - RECENT_USE_S))
        deadline = self._floor.clock() + self._floor.leases.restart_grace_s
        for claim in await self._jobs.assigned():
            dismissed = self._floor.orders.dismisses(claim.worker)
            due = self._floor.clock() if dismissed else deadline
            self._floor.orphans[claim.job_id] = Orphan(claim.attempt, claim.worker, due)
            if claim.cancel_asked:
                self._floor.cancelling.add(claim.job_id)
        if self._parts is not None:
            await self._parts.sweep()
        if self._settler.trainings is not None:
            await self._settler.trainings.sweep()
            self._settler.trainings.subscribe_removed(self._forget_training)
        await self._floor.transport.start(self.on_message, self.on_gone)
        self._tasks = [
            asyncio.create_task(self._handing.pump(), name="dispatcher-pump"),
            asyncio.create_task(self._losses.watch(), name="dispatcher-leases"),
        ]
        self._floor.wake.set()

    async def stop(self) -> None:
        """Bounded by the transport's own stop. What runs stays assigned in the table; the next start takes it up."""
        tasks = [*self._tasks, *self._floor.sends]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._floor.transport.stop()
        if self._inspection is not None:
            await self._inspection.stop()

    # --- what the rest of the bot asks --------------------------------------------------------------------------------

    async def submit(self, new: NewJob, sheets: Sequence[NewJob] = ()) -> tuple[JobId, bool]:
        """Commits the job, with its sheets where it is a script, in one transaction; only afterwards may the user be
        answered. False: this interaction already had its job."""
        job_id, added = await self._jobs.add(new, sheets)
        if added:
            self._floor.changed()
        return job_id, added

    async def cancel(self, job_id: JobId, by: UserId) -> JobStatus | None:
        """Queued: cancelled at once. Running: the worker is told and stops within one step. A script stops with its
        sheets, and ends once they have (`assigned` until then)."""
        if await self.cancel_sheets(job_id, by):
            return JobStatus.ASSIGNED
        status = await self._jobs.ask_cancel(job_id, by)
        if status is JobStatus.CANCELLED:
            self._floor.ended(job_id)
        elif status is JobStatus.ASSIGNED:
            self._floor.cancelling.add(job_id)
            holders = list(self._floor.workers.holders(job_id))
            for view, held in holders:
                await self._floor.send_cancel(view.name, held.job, held.attempt, "user")
            orphan = self._floor.orphans.get(job_id)
            if orphan is not None and not holders:
                # Nobody is there to confirm it; a worker that comes back with it will be fenced.
                return await self._losses.lose(job_id, orphan.attempt, blamed=False, outcome="lost") or status
        return status

    async def pause(self, job_id: JobId, by: UserId) -> bool:
        """A training stops at its next step, gives its memory back and waits until it is resumed. False where there is
        none that could, or it is paused already."""
        status = await self._jobs.pause(job_id)
        if status is None:
            return False
        log.info("training %s is paused by %s", job_id, by)
        if status is JobStatus.ASSIGNED:
            self._floor.pausing.add(job_id)
            for view, held in self._floor.workers.holders(job_id):
                await self._floor.send_cancel(view.name, held.job, held.attempt, PAUSE)
        self._floor.changed()
        return True

    async def resume(self, job_id: JobId) -> bool:
        """It goes on with its next turn. False where it was not paused, or is over."""
        resumed = await self._jobs.resume(job_id)
        self._floor.pausing.discard(job_id)
        if resumed:
            self._floor.changed()
        return resumed

    async def cancel_sheets(self, script_id: JobId, by: UserId | None) -> bool:
        """As `Scripts.cancel`, with those that are drawn just now. False where that is no script, or is over."""
        found = await self._scripts.cancel(script_id, by)
        if found is None:
            return False
        waiting, running = found
        for sheet_id in running:
            await self.cancel(sheet_id, by if by is not None else UserId(0))
        for sheet_id in waiting:
            self._floor.ended(sheet_id)
        return True

    async def move(self, job_id: JobId, move: Move) -> bool:
        """False where it waits no longer."""
        moved = await self._jobs.move(job_id, move)
        if moved:
            self._floor.changed()
        return moved

    async def gates_changed(self) -> None:
        """Some part of the line was paused, or goes on. What a worker only holds for later comes back into a paused
        one; should it have begun that very moment, its pictures count all the same."""
        for view in list(self._floor.workers.values()):
            for held in list(view.assigned.values()):
                if held.trains:
                    await self._pause_where_held(view, held)
                elif not held.started and held.charged is not None and self._floor.holds(held.charged.guild_id):
                    await self._handing.take_back(view, held, "withdrawn")
                    await self._floor.send_cancel(view.name, held.job, held.attempt, "paused")
        self._floor.changed()

    async def _pause_where_held(self, view: WorkerView, held: Assigned) -> None:
        job = await self._jobs.get(JobId(held.job))
        if job is not None and self._floor.holds(job.guild_id):
            await self._floor.send_cancel(view.name, held.job, held.attempt, PAUSE)

    async def obey(self, orders: Orders) -> None:
        """What operators want of workers, from now on; before the start it changes nothing yet. A drained worker's
        training and what it holds for later come back into the queue, and all that a dismissed machine has."""
        await self._mustering.obey(orders)

    @property
    def orders(self) -> Orders:
        return self._floor.orders

    def on_distrust(self, put_out: Callable[[str], Awaitable[None]]) -> None:
        """`put_out` is given a worker whose machine has sent what was no result of its jobs, once too often."""
        self._inspecting.put_out = put_out

    async def standings(self) -> Mapping[JobId, Standing]:
        """Position and ETA of every waiting job, as of the last change of the queue or of a second ago."""
        async with self._standings_turn:  # two hundred cards ask at once after a change; one answer serves them
            version, at = self._standings_of
            now = self._floor.clock()
            if version != self._floor.version or now - at > STANDINGS_FRESH_S:
                version = self._floor.version
                self._standings = await stand(
                    await self._jobs.queue(), self._floor.workers, self._floor.fair, self._handing.candidate,
                    now=now, learnt=self._timings.estimate_s("", 1.0) is not None, is_paused=self._floor.holds,
                    pace=self._handing.pace, load_s=self._handing.load_s, fetch_s=self._handing.fetch_s,
                    prepares_s=self._handing.prepares_s,
                )  # fmt: skip
                self._standings_of = (version, now)
            return self._standings

    def models(self) -> tuple[m.ModelFact, ...]:
        """What any live worker can use; a model that one of them can load counts as usable."""
        return self._floor.workers.models()

    def rescan(self) -> None:
        """Has every worker look at its model folders now."""
        for name in self._floor.workers:
            self._floor.spawn(self._floor.transport.send(name, m.Rescan()), f"rescan-{name}")

    def _forget_training(self, job_id: JobId) -> None:
        """What workers keep to go on with it goes, too."""
        for name in self._floor.workers:
            self._floor.spawn(self._floor.transport.send(name, m.Forget(worker=name, job=job_id)), f"forget-{name}")

    @property
    def workers(self) -> tuple[WorkerView, ...]:
        return tuple(self._floor.workers.values())

    # --- messages -----------------------------------------------------------------------------------------------------

    async def on_message(self, message: m.ToBot) -> None:
        """Handles one message of a worker; returns after the commit. Raises on a full disk: deliver it again."""
        if self._floor.orders.dismisses(message.worker):
            await self._mustering.turn_away(message)
            return
        await self._reception.on_message(message)

    async def on_gone(self, gone: WorkerGone) -> None:
        await self._reception.on_gone(gone)
