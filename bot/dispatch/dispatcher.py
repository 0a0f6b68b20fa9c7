"""The one writer over the job table: claims by policy, hands to workers, settles what comes back.

Every change is a guarded UPDATE; `(job, attempt)` fences assign, cancel and requeue; the first `done` of any attempt of
an unfinished job wins. A lease is judged on this process's monotonic clock only, and never while the transport is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bot.dispatch.policy import Candidate, FairClock, choose, plan
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.dispatch.transport import BotTransport, WorkerGone
from bot.dispatch.workers import Assigned, WorkerView
from bot.domain.ids import JobId, UserId
from bot.domain.job import Job, JobStatus, NewJob
from bot.storage.facts import Timings
from bot.storage.images import MissingPictureError
from bot.storage.jobs import Jobs, QueueRow
from gpu_worker.protocol import messages as m

__all__ = ["Dispatcher", "Leases", "Listener", "Standing"]

log = logging.getLogger(__name__)

RECENT_USE_S = 3600.0
FALLBACK_UNIT_S = 1.0
"""Seconds per step-megapixel before anything was learnt; only the order depends on it, no ETA is shown from it."""


@dataclass(frozen=True, slots=True)
class Leases:
    """The clocks of trust, in seconds. A lease must exceed the time in which we notice our own dead link."""

    heartbeat_s: float = 2.0
    lease_s: float = 15.0
    restart_grace_s: float = 90.0
    """After our own start: how long a worker that held jobs may take to report (an old one may still be finishing)."""
    max_crashes: int = 3
    max_run_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a waiting job is."""

    position: int
    """1 is next; 0 is running now."""
    waiting: int
    eta_s: float | None
    """Until its pictures are ready; None before anything was learnt."""


class Listener(Protocol):
    """Told at once and must not block; the database already holds what is told."""

    def progressed(self, progress: m.Progress) -> None: ...
    def queue_changed(self) -> None: ...
    def ended(self, job_id: JobId) -> None: ...


class Dispatcher:
    def __init__(
        self,
        *,
        jobs: Jobs,
        timings: Timings,
        settler: Settler,
        resolver: SpecResolver,
        transport: BotTransport,
        listener: Listener,
        leases: Leases | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs = jobs
        self._timings = timings
        self._settler = settler
        self._resolver = resolver
        self._transport = transport
        self._listener = listener
        self._leases = leases or Leases()
        self._clock = clock
        self._fair = FairClock()
        self._workers: dict[str, WorkerView] = {}
        self._orphans: dict[JobId, tuple[int, str, float]] = {}
        self._cancelling: set[JobId] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._standings: dict[JobId, Standing] | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reconciles what a crash left, then opens the transport."""
        self._fair.virtual = await self._jobs.recent_use(time.time() - RECENT_USE_S)
        # A returning user starts at the least used one's time, so an hour's history decides order and nothing else.
        self._fair.now = min(self._fair.virtual.values(), default=0.0)
        deadline = self._clock() + self._leases.restart_grace_s
        for job in await self._jobs.in_status(JobStatus.ASSIGNED):
            self._orphans[job.id] = (job.attempt, job.worker or "", deadline)
            if job.cancel_by is not None:
                self._cancelling.add(job.id)
        await self._transport.start(self.on_message, self.on_gone)
        self._tasks = [
            asyncio.create_task(self._pump_forever(), name="dispatcher-pump"),
            asyncio.create_task(self._watch_leases(), name="dispatcher-leases"),
        ]
        self._wake.set()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.stop()

    # --- what the rest of the bot asks --------------------------------------------------------------------------------

    async def submit(self, new: NewJob) -> tuple[JobId, bool]:
        """Commits the job; only afterwards may the user be answered. False: this interaction already had its job."""
        job_id, added = await self._jobs.add(new)
        if added:
            self._changed()
        return job_id, added

    async def cancel(self, job_id: JobId, by: UserId) -> JobStatus | None:
        """Queued: cancelled at once. Running: the worker is told and stops within one step."""
        status = await self._jobs.ask_cancel(job_id, by)
        if status is JobStatus.CANCELLED:
            self._changed()
            self._listener.ended(job_id)
        elif status is JobStatus.ASSIGNED:
            self._cancelling.add(job_id)
            for worker in self._workers.values():
                held = worker.assigned.get(job_id)
                if held is not None:
                    await self._send_cancel(worker.name, held.job, held.attempt, "user")
        return status

    async def standings(self) -> Mapping[JobId, Standing]:
        """Position and ETA of every waiting job; recomputed only after the queue changed."""
        if self._standings is None:
            self._standings = self._stand(await self._jobs.queue())
        return self._standings

    def models(self) -> tuple[m.ModelFact, ...]:
        """What any live worker can use; a model that one of them can load counts as usable."""
        best: dict[tuple[str, str], m.ModelFact] = {}
        for worker in self._workers.values():
            for fact in worker.hello.models:
                known = best.get((fact.kind, fact.name))
                if known is None or (known.problem and not fact.problem):
                    best[fact.kind, fact.name] = fact
        return tuple(best.values())

    @property
    def workers(self) -> tuple[WorkerView, ...]:
        return tuple(self._workers.values())

    # --- messages -----------------------------------------------------------------------------------------------------

    async def on_message(self, message: m.ToBot) -> None:
        """Handles one message of a worker; returns after the commit. Raises on a full disk: deliver it again."""
        match message:
            case m.Hello():
                await self._on_hello(message)
            case m.Heartbeat():
                await self._on_heartbeat(message)
            case m.Progress():
                self._on_progress(message)
            case m.Partial():
                await self._settler.partial(message)
            case m.Done() | m.Failed() | m.Cancelled():
                await self._on_end(message)
            case m.AssignReply():
                pass  # the transport pairs it with its assign

    async def on_gone(self, gone: WorkerGone) -> None:
        view = self._workers.pop(gone.worker, None)
        if view is None:
            return
        log.warning("worker %s is gone: %s", gone.worker, gone.sentence)
        for held in list(view.assigned.values()):
            await self._lose(held, blamed=held.started, outcome="crashed" if held.started else "lost")
        self._changed()

    async def _on_hello(self, hello: m.Hello) -> None:
        now = self._clock()
        known = self._workers.get(hello.worker)
        if known is not None and known.boot != hello.boot:
            for held in list(known.assigned.values()):
                await self._lose(held, blamed=held.started, outcome="lost")
            known = None
        if known is None:
            known = WorkerView(hello.worker, hello.boot, hello, now, planned_model=hello.loaded)
            self._workers[hello.worker] = known
        known.hello = hello
        known.seen_at = now
        if not known.compatible:
            log.error("worker %s speaks protocol %s-%s, we speak %s-%s: it gets no jobs; update it",
                      hello.worker, hello.proto_min, hello.proto_max, m.PROTO_MIN, m.PROTO_MAX)  # fmt: skip
        await self._transport.send(hello.worker, m.Welcome(hb_s=self._leases.heartbeat_s, lease_s=self._leases.lease_s))
        await self._reconcile(known, hello.running)
        self._changed()

    async def _reconcile(self, view: WorkerView, running: tuple[m.Running, ...]) -> None:
        """Adopts what the worker really runs, and takes back what the table says it has but it does not know."""
        listed = {(JobId(r.job), r.attempt): r for r in running}
        for job_id, (attempt, worker, _) in list(self._orphans.items()):
            if worker != view.name:
                continue
            del self._orphans[job_id]
            if (job_id, attempt) in listed:
                job = await self._jobs.get(job_id)
                if job is not None and job.status is JobStatus.ASSIGNED and job.attempt == attempt:
                    view.assigned[job_id] = Assigned(job_id, attempt, job.model, self._clock())
            elif await self._jobs.requeue(job_id, attempt, blamed=False, outcome="lost"):
                log.info("job %s goes back to the queue: %s was restarted", job_id, view.name)
                await self._finish_if_cancelled(job_id)

    async def _on_heartbeat(self, beat: m.Heartbeat) -> None:
        view = self._workers.get(beat.worker)
        if view is None or view.boot != beat.boot:
            await self._transport.send(beat.worker, m.Resync())
            return
        now = self._clock()
        view.seen_at = now
        view.draining = beat.draining
        for running in beat.running:
            held = view.assigned.get(running.job)
            if held is None or held.attempt != running.attempt:
                await self._send_cancel(view.name, running.job, running.attempt, "fenced")
                continue
            held.seen_at = now
            held.started = held.started or running.phase != "queued"
            if running.job in self._cancelling:
                await self._send_cancel(view.name, running.job, running.attempt, "user")

    def _on_progress(self, progress: m.Progress) -> None:
        view = self._workers.get(progress.worker)
        held = view.assigned.get(progress.job) if view else None
        if view is None or held is None or held.attempt != progress.attempt:
            return  # a late attempt must not draw on the card of a newer one
        view.seen_at = held.seen_at = self._clock()
        held.started = True
        self._listener.progressed(progress)

    async def _on_end(self, message: m.Done | m.Failed | m.Cancelled) -> None:
        job_id = JobId(message.job)
        if isinstance(message, m.Failed) and message.retryable:
            view = self._workers.get(message.worker)
            held = view.assigned.pop(job_id, None) if view else None
            if held is not None and held.attempt == message.attempt:
                await self._lose(held, blamed=True, outcome="failed")
            ended = False
        else:
            try:
                ended = await self._settler.settle(message)
            except MissingPictureError:
                log.warning("job %s: a picture was lost between worker and bot; it is drawn again", job_id)
                await self._jobs.requeue(job_id, message.attempt, blamed=False, outcome="lost")
                ended = False
            view = self._workers.get(message.worker)
            held = view.assigned.get(job_id) if view else None
            if view is not None and held is not None and held.attempt == message.attempt:
                del view.assigned[job_id]
                if isinstance(message, m.Done) and ended:
                    await self._learn(job_id, view, message)
        await self._transport.settled(m.Settled(worker=message.worker, job=message.job, attempt=message.attempt))
        if ended:
            self._orphans.pop(job_id, None)
            self._cancelling.discard(job_id)
            await self._withdraw_others(job_id, message.attempt)
            self._listener.ended(job_id)
        self._changed()

    async def _learn(self, job_id: JobId, view: WorkerView, done: m.Done) -> None:
        job = await self._jobs.get(job_id)
        if job is not None:
            await self._timings.learn(job.model, view.hello.gpu, job.work_units, done.run_s)

    async def _withdraw_others(self, job_id: JobId, attempt: int) -> None:
        """A late `done` of an older attempt won: the newer attempt need not go on."""
        for view in self._workers.values():
            held = view.assigned.get(job_id)
            if held is not None and held.attempt != attempt:
                del view.assigned[job_id]
                await self._send_cancel(view.name, held.job, held.attempt, "done elsewhere")

    async def _send_cancel(self, worker: str, job: str, attempt: int, reason: str) -> None:
        await self._transport.send(worker, m.Cancel(worker=worker, job=job, attempt=attempt, reason=reason))

    # --- losing -------------------------------------------------------------------------------------------------------

    async def _lose(self, held: Assigned, *, blamed: bool, outcome: str) -> None:
        """An attempt is lost: back to the queue, or, after too many starts that killed their worker, failed."""
        job_id = JobId(held.job)
        if not await self._jobs.requeue(job_id, held.attempt, blamed=blamed, outcome=outcome):
            return
        if await self._finish_if_cancelled(job_id):
            return
        job = await self._jobs.get(job_id)
        if job is not None and job.crashes >= self._leases.max_crashes:
            if await self._settler.give_up(job):
                log.error("job %s failed: %s starts killed their worker", job_id, job.crashes)
                self._listener.ended(job_id)
        else:
            log.warning("job %s, attempt %s: %s; it goes back to the queue", job_id, held.attempt, outcome)

    async def _finish_if_cancelled(self, job_id: JobId) -> bool:
        """A cancel that its worker could not confirm any more is carried out here."""
        job = await self._jobs.get(job_id)
        if job is None or job.cancel_by is None or job.status is not JobStatus.QUEUED:
            return False
        await self._jobs.ask_cancel(job_id, job.cancel_by)
        self._cancelling.discard(job_id)
        self._listener.ended(job_id)
        return True

    async def _watch_leases(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._leases.lease_s / 4))
            try:
                await self._check_leases()
            except Exception:
                log.exception("lease check failed; it goes on")

    async def _check_leases(self) -> None:
        if not self._transport.connected:
            return
        now = self._clock()
        lost = False
        for view in list(self._workers.values()):
            if now - view.seen_at > self._leases.lease_s:
                await self.on_gone(WorkerGone(view.name, f"no heartbeat for {self._leases.lease_s:g} s"))
                lost = True
                continue
            for held in list(view.assigned.values()):
                # Missing from heartbeats for a whole lease, not for one: its `done` may be under way.
                if now - held.seen_at > self._leases.lease_s:
                    del view.assigned[held.job]
                    await self._lose(held, blamed=False, outcome="lost")
                    lost = True
        for job_id, (attempt, _, deadline) in list(self._orphans.items()):
            if now > deadline:
                del self._orphans[job_id]
                if await self._jobs.requeue(job_id, attempt, blamed=False, outcome="lost"):
                    await self._finish_if_cancelled(job_id)
                lost = True
        if lost:
            self._changed()

    # --- handing out --------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._standings = None
        self._wake.set()
        self._listener.queue_changed()

    async def _pump_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while await self._hand_out_one():
                    pass
            except Exception:
                log.exception("handing out failed; retried in a second")
                await asyncio.sleep(1)
                self._wake.set()

    async def _hand_out_one(self) -> bool:
        # Idle workers first: a prefetched job must not wait behind one worker while another has nothing to do.
        ready = sorted((v for v in self._workers.values() if v.credits > 0), key=lambda v: len(v.assigned))
        if not ready:
            return False
        rows = [row for row in await self._jobs.queue() if row.status is JobStatus.QUEUED]
        for view in ready:
            candidates = [self._candidate(row) for row in rows if self._may_draw(view, row.model)]
            choice = choose(candidates, self._fair, planned_model=view.planned_model, lanes=view.hello.lanes)
            if choice is None:
                continue
            if choice.passed_over:
                await self._jobs.note_skipped(choice.passed_over)
            if await self._assign(view, choice.job):
                return True
        return False

    def _may_draw(self, view: WorkerView, model: str) -> bool:
        # A model that nobody has goes to anybody: the worker's refusal becomes the user's sentence.
        return view.can_draw(model) or not any(other.can_draw(model) for other in self._workers.values())

    async def _assign(self, view: WorkerView, candidate: Candidate) -> bool:
        job = await self._jobs.claim(candidate.id, view.name, view.boot)
        if job is None:
            return True  # cancelled this very moment; look again
        self._fair.started(candidate)
        held = Assigned(job.id, job.attempt, job.model, self._clock())
        view.assigned[job.id] = held
        planned_before, view.planned_model = view.planned_model, job.model
        self._standings = None
        accepted = await self._transport.assign(view.name, await self._message(view, job))
        if accepted is False:
            view.assigned.pop(job.id, None)
            view.planned_model = planned_before
            await self._lose(held, blamed=False, outcome="refused")
            await asyncio.sleep(0.2)  # a worker that is just going away must not be asked in a tight loop
            return view.name in self._workers
        self._listener.queue_changed()
        return True

    async def _message(self, view: WorkerView, job: Job) -> m.Assign:
        return m.Assign(
            worker=view.name,
            job=job.id,
            attempt=job.attempt,
            lane=job.lane,
            model=job.model,
            spec=await self._resolver.resolve(job),
            resume=job.state,
            max_run_s=self._leases.max_run_s,
        )

    def _candidate(self, row: QueueRow) -> Candidate:
        cost = self._timings.estimate_s(row.model, row.work_units)
        return Candidate(
            row.id, row.user_id, row.lane, row.model,
            cost_s=cost if cost is not None else row.work_units * FALLBACK_UNIT_S,
            waited_s=max(0.0, time.time() - row.created_at),
            skipped=row.skipped,
        )  # fmt: skip

    def _stand(self, rows: list[QueueRow]) -> dict[JobId, Standing]:
        queued = [self._candidate(row) for row in rows if row.status is JobStatus.QUEUED]
        running = [self._candidate(row) for row in rows if row.status is JobStatus.ASSIGNED]
        order = plan(queued, self._fair, {v.name: v.planned_model for v in self._workers.values()})
        learnt = self._timings.estimate_s("", 1.0) is not None
        lines = max(1, len(self._workers))
        ahead_s = sum(c.cost_s for c in running) / lines
        found: dict[JobId, Standing] = {}
        for candidate in running:
            found[candidate.id] = Standing(0, len(queued), candidate.cost_s if learnt else None)
        for position, candidate in enumerate(order, start=1):
            ahead_s += candidate.cost_s / lines
            found[candidate.id] = Standing(position, len(queued), ahead_s if learnt else None)
        return found
