"""The one writer over the job table: claims by policy, hands to workers, settles what comes back.

Every change is a guarded UPDATE; `(job, attempt)` fences assign, cancel and requeue; the first `done` of any attempt of
an unfinished job wins. A lease is judged on this process's monotonic clock only, and never while the transport is cut
off. What memory and table disagree about is settled by the table: an attempt it calls running that nobody holds is an
orphan, and an orphan whose time is up is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from pydantic import ValidationError

from bot.dispatch.leases import Leases, Orphan
from bot.dispatch.policy import Candidate, Choice, FairClock, choose
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SourceGoneError, SpecResolver
from bot.dispatch.standing import Standing, stand
from bot.dispatch.transport import BotTransport, WorkerGone
from bot.dispatch.workers import Assigned, Roster, WorkerView
from bot.domain.ids import JobId, UserId
from bot.domain.job import TASK_MODEL, Job, JobStatus, NewJob
from bot.domain.queue_rules import Move
from bot.storage.database import StorageFullError
from bot.storage.facts import Timings
from bot.storage.jobs import Jobs, QueueRow
from bot.storage.queue_gates import QueueGates
from gpu_worker.language.models import default_checkpoint
from gpu_worker.protocol import messages as m

__all__ = ["Dispatcher", "Leases", "Listener", "Standing"]

log = logging.getLogger(__name__)

RECENT_USE_S = 3600.0
FALLBACK_UNIT_S = 1.0
"""Seconds per step-megapixel before anything was learnt; only the order depends on it, no ETA is shown from it."""
RETRY_S = 1.0
STANDINGS_FRESH_S = 1.0


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
        previews: Callable[[Job], Awaitable[m.PreviewWish]] | None = None,
        gates: QueueGates | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gates = gates
        self._jobs = jobs
        self._timings = timings
        self._settler = settler
        self._resolver = resolver
        self._transport = transport
        self._listener = listener
        self._leases = leases or Leases()
        self._previews = previews
        self._clock = clock
        self._fair = FairClock()
        self._workers = Roster()
        self._orphans: dict[JobId, Orphan] = {}
        self._unsettled: dict[JobId, float] = {}
        self._cancelling: set[JobId] = set()
        self._passed_over_at: dict[JobId, float] = {}
        self._was_connected = True
        self._settling = asyncio.Lock()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._sends: set[asyncio.Task[None]] = set()
        self._version = 0
        self._standings: Mapping[JobId, Standing] = {}
        self._standings_of = (-1, 0.0)
        self._standings_turn = asyncio.Lock()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Reconciles what a crash left, then opens the transport."""
        self._fair.resume(await self._jobs.recent_use(time.time() - RECENT_USE_S))
        deadline = self._clock() + self._leases.restart_grace_s
        for claim in await self._jobs.assigned():
            self._orphans[claim.job_id] = Orphan(claim.attempt, claim.worker, deadline)
            if claim.cancel_asked:
                self._cancelling.add(claim.job_id)
        await self._transport.start(self.on_message, self.on_gone)
        self._tasks = [
            asyncio.create_task(self._pump_forever(), name="dispatcher-pump"),
            asyncio.create_task(self._watch_leases(), name="dispatcher-leases"),
        ]
        self._wake.set()

    async def stop(self) -> None:
        """Bounded by the transport's own stop. What runs stays assigned in the table; the next start takes it up."""
        tasks = [*self._tasks, *self._sends]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
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
            self._ended(job_id)
        elif status is JobStatus.ASSIGNED:
            self._cancelling.add(job_id)
            holders = list(self._workers.holders(job_id))
            for view, held in holders:
                await self._send_cancel(view.name, held.job, held.attempt, "user")
            orphan = self._orphans.get(job_id)
            if orphan is not None and not holders:
                # Nobody is there to confirm it; a worker that comes back with it will be fenced.
                return await self._lose(job_id, orphan.attempt, blamed=False, outcome="lost") or status
        return status

    async def move(self, job_id: JobId, move: Move) -> bool:
        """False where it waits no longer."""
        moved = await self._jobs.move(job_id, move)
        if moved:
            self._changed()
        return moved

    async def gates_changed(self) -> None:
        """Some part of the line was paused, or goes on. What a worker only holds for later comes back into a paused
        one; should it have begun that very moment, its pictures count all the same."""
        for view in list(self._workers.values()):
            for held in list(view.assigned.values()):
                if not held.started and held.charged is not None and self._held(held.charged.guild_id):
                    await self._take_back(view, held, "withdrawn")
                    await self._send_cancel(view.name, held.job, held.attempt, "paused")
        self._changed()

    def _held(self, guild_id: int | None) -> bool:
        return self._gates is not None and self._gates.holds(guild_id)

    async def standings(self) -> Mapping[JobId, Standing]:
        """Position and ETA of every waiting job, as of the last change of the queue or of a second ago."""
        async with self._standings_turn:  # two hundred cards ask at once after a change; one answer serves them
            version, at = self._standings_of
            now = self._clock()
            if version != self._version or now - at > STANDINGS_FRESH_S:
                version = self._version
                self._standings = await stand(
                    await self._jobs.queue(), self._workers, self._fair, self._candidate,
                    now=now, learnt=self._timings.estimate_s("", 1.0) is not None, is_paused=self._held,
                )  # fmt: skip
                self._standings_of = (version, now)
            return self._standings

    def models(self) -> tuple[m.ModelFact, ...]:
        """What any live worker can use; a model that one of them can load counts as usable."""
        return self._workers.models()

    def rescan(self) -> None:
        """Has every worker look at its model folders now."""
        for name in self._workers:
            send = asyncio.create_task(self._transport.send(name, m.Rescan()), name=f"rescan-{name}")
            self._sends.add(send)
            send.add_done_callback(self._sends.discard)

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
        if view is not None:
            log.warning("worker %s is gone: %s", gone.worker, gone.sentence)
            await self._lose_all(view, started="crashed")

    async def _on_hello(self, hello: m.Hello) -> None:
        known = self._workers.get(hello.worker)
        if known is not None and known.boot != hello.boot:
            del self._workers[hello.worker]
            await self._lose_all(known, started="crashed")
            known = None
        if known is None:
            known = WorkerView(hello.worker, hello.boot, hello, self._clock(), planned_model=hello.loaded)
            self._workers[hello.worker] = known
            await self._warm(known)
        known.hello = hello
        known.loaded = hello.loaded
        known.seen_at = self._clock()
        if not known.compatible:
            log.error("worker %s speaks protocol %s-%s, we speak %s-%s: it gets no jobs; update it",
                      hello.worker, hello.proto_min, hello.proto_max, m.PROTO_MIN, m.PROTO_MAX)  # fmt: skip
        await self._transport.send(hello.worker, m.Welcome(hb_s=self._leases.heartbeat_s, lease_s=self._leases.lease_s))
        await self._reconcile(known)
        self._changed()

    async def _warm(self, view: WorkerView) -> None:
        """A fresh worker loads the default checkpoint while it waits: the first picture need not pay for it."""
        default = default_checkpoint(view.hello.models)
        if view.hello.loaded is None and default is not None:
            await self._transport.send(view.name, m.Prepare(worker=view.name, model=default))

    async def _reconcile(self, view: WorkerView) -> None:
        """Adopts what the worker really runs, and takes back what the table says it has but it does not know."""
        for running in view.hello.running:
            if running.job not in view.assigned and not await self._adopt(view, running):
                await self._send_cancel(view.name, running.job, running.attempt, "fenced")
        for job_id, orphan in list(self._orphans.items()):
            if orphan.worker == view.name and not self._end_is_under_way(job_id):
                log.info("job %s was lost: %s was restarted", job_id, view.name)
                await self._lose(job_id, orphan.attempt, blamed=orphan.blamed, outcome=orphan.outcome)

    async def _adopt(self, view: WorkerView, running: m.Running) -> bool:
        """Takes up what this worker still draws from before our restart, or from before it fell silent."""
        job_id = JobId(running.job)
        orphan = self._orphans.get(job_id)
        if orphan is not None and (orphan.attempt, orphan.worker) == (running.attempt, view.name):
            job = await self._jobs.get(job_id)
            if job is None or job.status is not JobStatus.ASSIGNED or job.attempt != running.attempt:
                return False
            self._orphans.pop(job_id, None)
        else:
            job = await self._jobs.readopt(job_id, running.attempt, view.name)
            if job is None:
                return False
        log.info("job %s, attempt %s: still drawn by %s, adopted", job_id, running.attempt, view.name)
        view.assigned[job_id] = Assigned(
            job_id, running.attempt, job.model, self._clock(), preview=await self._wish(job)
        )
        if running.phase != "queued":
            view.assigned[job_id].start(self._clock())
        self._version += 1
        return True

    async def _on_heartbeat(self, beat: m.Heartbeat) -> None:
        view = self._workers.get(beat.worker)
        if view is None or view.boot != beat.boot:
            await self._transport.send(beat.worker, m.Resync())
            return
        now = view.seen_at = self._clock()
        view.draining = beat.draining
        view.beat = beat
        if view.loaded != beat.loaded:
            view.loaded = beat.loaded
            self._version += 1  # whoever was waiting for the model does so no longer
        for running in beat.running:
            held = view.assigned.get(running.job)
            if held is None or held.attempt != running.attempt:
                if not await self._adopt(view, running):
                    await self._send_cancel(view.name, running.job, running.attempt, "fenced")
                continue
            held.seen_at = now
            if running.phase != "queued":
                self._note_start(held, now)
            if running.job in self._cancelling:
                await self._send_cancel(view.name, running.job, running.attempt, "user")

    def _on_progress(self, progress: m.Progress) -> None:
        view = self._workers.get(progress.worker)
        held = view.assigned.get(progress.job) if view else None
        if view is None or held is None or held.attempt != progress.attempt:
            return  # a late attempt must not draw on the card of a newer one
        now = view.seen_at = held.seen_at = self._clock()
        self._note_start(held, now)
        if progress.preview is not None and not _wanted(progress, held.preview):
            progress = progress.model_copy(update={"preview": None})
        self._tell(self._listener.progressed, progress)

    def _note_start(self, held: Assigned, now: float) -> None:
        if not held.started:
            held.start(now)
            self._version += 1  # it no longer waits, and those behind it move up
            self._tell(self._listener.queue_changed)

    async def _on_end(self, message: m.Done | m.Failed | m.Cancelled) -> None:
        job_id = JobId(message.job)
        # A result that cannot be stored yet (full disk) is delivered again and must not look lost meanwhile.
        self._unsettled[job_id] = self._clock()
        async with self._settling:
            status = await self._settler.settle(message, max_crashes=self._leases.max_crashes)
        self._unsettled.pop(job_id, None)
        orphan = self._orphans.get(job_id)
        if orphan is not None and orphan.attempt == message.attempt:
            del self._orphans[job_id]
        view = self._workers.get(message.worker)
        held = view.assigned.get(job_id) if view else None
        if view is not None and held is not None and held.attempt == message.attempt:
            del view.assigned[job_id]
        if status is not None and not status.waiting:
            if isinstance(message, m.Done) and view is not None:
                await self._learn(job_id, view, message)
            await self._withdraw_others(job_id, message.attempt)
            self._ended(job_id)
        self._changed()
        await self._transport.settled(m.Settled(worker=message.worker, job=message.job, attempt=message.attempt))

    async def _learn(self, job_id: JobId, view: WorkerView, done: m.Done) -> None:
        # The job has ended in the table; nothing here may keep its user from being told.
        try:
            job = await self._jobs.get(job_id)
            if job is not None:
                await self._timings.learn(job.model, view.hello.gpu, job.work_units, done.run_s - done.load_s)
        except Exception:
            log.exception("the time of job %s was not learnt", job_id)

    async def _withdraw_others(self, job_id: JobId, attempt: int) -> None:
        """A late `done` of an older attempt won: the newer attempt need not go on."""
        self._orphans.pop(job_id, None)
        for view, held in self._workers.holders(job_id):
            if held.attempt != attempt:
                del view.assigned[job_id]
                await self._send_cancel(view.name, held.job, held.attempt, "done elsewhere")

    async def _send_cancel(self, worker: str, job: str, attempt: int, reason: str) -> None:
        await self._transport.send(worker, m.Cancel(worker=worker, job=job, attempt=attempt, reason=reason))

    # --- telling ------------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._version += 1
        self._wake.set()
        self._tell(self._listener.queue_changed)

    def _ended(self, job_id: JobId) -> None:
        self._cancelling.discard(job_id)
        self._passed_over_at.pop(job_id, None)
        self._changed()
        self._tell(self._listener.ended, job_id)

    def _tell(self, what: Callable[..., None], *values: object) -> None:
        try:
            what(*values)
        except Exception:
            log.exception("a listener failed; the queue goes on")

    # --- losing -------------------------------------------------------------------------------------------------------

    async def _lose(self, job_id: JobId, attempt: int, *, blamed: bool, outcome: str) -> JobStatus | None:
        """An attempt is lost: back to the queue, cancelled if that was asked, failed after too many blamed starts.

        Where the table cannot be written just now, it is tried again with the leases.
        """
        try:
            status = await self._settler.lose(
                job_id, attempt, blamed=blamed, outcome=outcome, max_crashes=self._leases.max_crashes
            )
        except Exception:
            log.exception("the loss of job %s, attempt %s, could not be stored yet; it is tried again", job_id, attempt)
            self._orphans[job_id] = Orphan(attempt, "", self._clock(), blamed, outcome)
            return None
        self._orphans.pop(job_id, None)
        if status is not None and not status.waiting:
            self._ended(job_id)
        else:
            self._changed()
        return status

    async def _lose_all(self, view: WorkerView, *, started: str) -> None:
        blamed = view.on_gpu()
        for held in list(view.assigned.values()):
            await self._lose(
                JobId(held.job), held.attempt, blamed=held in blamed, outcome=started if held in blamed else "lost"
            )
        self._changed()

    async def _watch_leases(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._leases.lease_s / 4))
            try:
                await self._check_leases()
            except Exception:
                log.exception("lease check failed; it goes on")

    async def _check_leases(self) -> None:
        now = self._clock()
        if not self._transport.connected:
            self._was_connected = False
            return
        if not self._was_connected:
            # We were cut off, not they: everybody gets a whole lease to be heard again.
            self._was_connected = True
            self._forgive(now)
        for view in list(self._workers.values()):
            if now - view.seen_at > self._leases.lease_s:
                log.warning("worker %s is silent: no heartbeat for %g s", view.name, self._leases.lease_s)
                del self._workers[view.name]
                await self._lose_all(view, started="silent")
                continue
            for held in list(view.assigned.values()):
                # Missing from heartbeats for a whole lease, not for one: its `done` may be under way.
                if now - held.seen_at > self._leases.lease_s and not self._end_is_under_way(JobId(held.job)):
                    del view.assigned[held.job]
                    await self._lose(JobId(held.job), held.attempt, blamed=False, outcome="lost")
        await self._find_orphans(now)
        for job_id, orphan in list(self._orphans.items()):
            if now > orphan.deadline and not self._end_is_under_way(job_id):
                await self._lose(job_id, orphan.attempt, blamed=orphan.blamed, outcome=orphan.outcome)

    async def _find_orphans(self, now: float) -> None:
        claims = {claim.job_id: claim for claim in await self._jobs.assigned()}
        for job_id in [*self._orphans]:
            if job_id not in claims or any(self._workers.holders(job_id)):
                del self._orphans[job_id]
        for job_id, claim in claims.items():
            if job_id not in self._orphans and not any(self._workers.holders(job_id)):
                self._orphans[job_id] = Orphan(claim.attempt, claim.worker, now + self._leases.lease_s)

    def _forgive(self, now: float) -> None:
        for view in self._workers.values():
            view.seen_at = now
            for held in view.assigned.values():
                held.seen_at = now
        for job_id, orphan in self._orphans.items():
            self._orphans[job_id] = replace(orphan, deadline=max(orphan.deadline, now + self._leases.lease_s))

    def _end_is_under_way(self, job_id: JobId) -> bool:
        delivered_at = self._unsettled.get(job_id)
        return delivered_at is not None and self._clock() - delivered_at < self._leases.lease_s

    # --- handing out --------------------------------------------------------------------------------------------------

    async def _pump_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while await self._hand_out_one():
                    pass
            except Exception:
                log.exception("handing out failed; retried in a second")
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _hand_out_one(self) -> bool:
        # Idle workers first: a prefetched job must not wait behind one worker while another has nothing to do.
        ready = sorted((v for v in self._workers.values() if v.credits > 0), key=lambda v: len(v.assigned))
        if not ready:
            return False
        rows = [r for r in await self._jobs.queue() if r.status is JobStatus.QUEUED and not self._held(r.guild_id)]
        candidates = [self._candidate(row) for row in rows]
        for view in ready:
            choice = choose(
                [c for c in candidates if c.id not in view.refused], self._fair,
                planned_model=view.planned_model, lanes=view.hello.lanes,
                draws=lambda model, view=view: self._workers.may_draw(view, model),
            )  # fmt: skip
            if choice is not None:
                await self._hand_out(view, choice)
                return True
        return False

    async def _hand_out(self, view: WorkerView, choice: Choice) -> None:
        candidate = choice.job
        try:
            job = await self._jobs.claim(candidate.id, view.name, view.boot)
        except ValidationError:
            log.exception("job %s was stored by another version and cannot be read", candidate.id)
            await self._settler.fail_unreadable(candidate.id)
            self._ended(candidate.id)
            return
        if job is None:
            return  # cancelled this very moment; look again
        if self._workers.get(view.name) is not view:  # gone while we wrote
            await self._lose(job.id, job.attempt, blamed=False, outcome="unsent")
            return
        self._fair.started(choice)
        await self._note_passed_over(choice)
        held = Assigned(job.id, job.attempt, job.model, self._clock(), charged=choice.charged)
        view.assigned[job.id] = held
        if not job.model.startswith(TASK_MODEL):
            view.planned_model = job.model
        self._version += 1
        # Not awaited: a worker that does not answer must not keep the others waiting.
        send = asyncio.create_task(self._send_assign(view, held, job), name=f"assign-{job.id}.{job.attempt}")
        self._sends.add(send)
        send.add_done_callback(self._sends.discard)

    async def _note_passed_over(self, choice: Choice) -> None:
        self._passed_over_at.pop(choice.job.id, None)
        for job_id in choice.passed_over:
            self._passed_over_at.setdefault(job_id, self._clock())
        if choice.passed_over:
            with contextlib.suppress(StorageFullError):
                await self._jobs.note_skipped(choice.passed_over)

    async def _send_assign(self, view: WorkerView, held: Assigned, job: Job) -> None:
        async with view.sending:
            if view.assigned.get(job.id) is not held:
                return  # lost or cancelled while it waited its turn
            try:
                held.preview = await self._wish(job)
                accepted = await self._transport.assign(view.name, await self._message(view, job, held.preview))
            except (OSError, StorageFullError):
                log.exception("job %s could not be handed out; it is tried again", job.id)
                await asyncio.sleep(RETRY_S)
                await self._take_back(view, held, "unsent")
                return
            except SourceGoneError as error:
                log.warning("job %s: %s", job.id, error)
                await self._give_up(view, held, job, "bad_input", {"reason": "source_gone"}, str(error))
                return
            except Exception as error:
                log.exception("job %s cannot be handed out", job.id)
                await self._give_up(view, held, job, "other", {}, repr(error))
                return
        if accepted is False:
            view.refused.add(job.id)
            await self._take_back(view, held, "refused")
        elif job.id in self._cancelling:
            await self._send_cancel(view.name, job.id, job.attempt, "user")

    async def _give_up(
        self, view: WorkerView, held: Assigned, job: Job, kind: m.FailureKind, detail: dict[str, object], message: str
    ) -> None:
        self._forget(view, held)
        if await self._settler.fail(job.id, job.attempt, kind, detail, message):
            self._ended(job.id)

    async def _take_back(self, view: WorkerView, held: Assigned, outcome: str) -> None:
        self._forget(view, held)
        if held.charged is not None:
            self._fair.refund(held.charged)
        await self._lose(JobId(held.job), held.attempt, blamed=False, outcome=outcome)

    def _forget(self, view: WorkerView, held: Assigned) -> None:
        if view.assigned.get(held.job) is held:
            del view.assigned[held.job]
        last = next((h for h in reversed(view.assigned.values()) if not h.model.startswith(TASK_MODEL)), None)
        view.planned_model = last.model if last is not None else view.hello.loaded

    async def _wish(self, job: Job) -> m.PreviewWish:
        return m.PreviewWish() if self._previews is None else await self._previews(job)

    async def _message(self, view: WorkerView, job: Job, preview: m.PreviewWish) -> m.Assign:
        return m.Assign(
            worker=view.name,
            job=job.id,
            attempt=job.attempt,
            lane=job.lane,
            model=job.model,
            spec=await self._resolver.resolve(job),
            resume=job.state,
            max_run_s=self._leases.max_run_s,
            preview=preview,
        )

    def _candidate(self, row: QueueRow) -> Candidate:
        cost = self._timings.estimate_s(row.model, row.work_units)
        passed_over_at = self._passed_over_at.get(row.id)
        return Candidate(
            row.id, row.user_id, row.lane, row.model,
            cost_s=cost if cost is not None else row.work_units * FALLBACK_UNIT_S,
            skipped=row.skipped,
            passed_over_s=self._clock() - passed_over_at if passed_over_at is not None else 0.0,
            guild_id=row.guild_id, joined_at=row.moved_at or row.created_at, moved=row.moved,
        )  # fmt: skip


def _wanted(progress: m.Progress, wish: m.PreviewWish) -> bool:
    """A worker of an older version, or one that lost its classifier, sends what was not asked for."""
    return wish.hz > 0 and (progress.preview_guarded or not wish.guarded)
