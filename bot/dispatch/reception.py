"""What workers say: who they are, how far they are, what came of a job."""

from __future__ import annotations

import asyncio
import logging

from bot.dispatch.fetching import FETCHING, FetchRates
from bot.dispatch.floor import PAUSE, Floor
from bot.dispatch.inspecting import Inspecting
from bot.dispatch.losses import Losses
from bot.dispatch.settle import Settler
from bot.dispatch.trainings import Pace, TrainingLog
from bot.dispatch.transport import WorkerGone
from bot.dispatch.warming import Warming
from bot.dispatch.workers import Assigned, WorkerView
from bot.domain.ids import JobId
from bot.domain.job import JobStatus
from bot.storage.facts import Timings
from bot.storage.jobs import Jobs
from gpu_worker.protocol import messages as m

__all__ = ["Reception"]

log = logging.getLogger(__name__)

NOT_ON_A_CARD = frozenset({"queued", FETCHING})
"""Phases of jobs that can be blamed for nothing."""
REPLACED_MAX = 8


class Reception:
    def __init__(
        self,
        floor: Floor,
        losses: Losses,
        *,
        jobs: Jobs,
        timings: Timings,
        settler: Settler,
        trainings: TrainingLog,
        inspecting: Inspecting,
        warming: Warming,
        rates: FetchRates,
    ) -> None:
        self._warming = warming
        self._rates = rates
        self._floor = floor
        self._losses = losses
        self._jobs = jobs
        self._timings = timings
        self._settler = settler
        self._trainings = trainings
        self._inspecting = inspecting
        self._settling = asyncio.Lock()
        self._replaced: dict[str, list[str]] = {}
        """Earlier lives, by worker that is there: one of them that speaks again never ended."""
        self._told_at: dict[str, float] = {}
        """When the second of two was last told so, by worker."""

    async def on_message(self, message: m.ToBot) -> None:
        """Handles one message of a worker; returns after the commit. Raises on a full disk: deliver it again."""
        match message:
            case m.Hello():
                await self._on_hello(self._inspecting.hello(message))
            case m.Heartbeat():
                await self._on_heartbeat(self._inspecting.heartbeat(message))
            case m.Progress():
                await self._on_progress(message)
            case m.Partial():
                await self._on_part(message)
            case m.Done() | m.Failed() | m.Cancelled() | m.Paused():
                await self._on_end(message)
            case m.AssignReply():
                pass  # the transport pairs it with its assign

    async def on_gone(self, gone: WorkerGone) -> None:
        view = self._floor.workers.pop(gone.worker, None)
        if view is not None:
            log.warning("worker %s is gone: %s", gone.worker, gone.sentence)
            await self._losses.lose_all(view, started="crashed")

    async def _on_hello(self, hello: m.Hello) -> None:
        known = self._floor.workers.get(hello.worker)
        if known is not None and await self._is_second(known, hello.boot):
            return
        if known is None:
            self._replaced.pop(hello.worker, None)
            self._told_at.pop(hello.worker, None)
        elif known.boot != hello.boot:
            self._replaced[known.name] = [*self._replaced.get(known.name, ())[-REPLACED_MAX:], known.boot]
            del self._floor.workers[hello.worker]
            await self._losses.lose_all(known, started="crashed")
            known = None
        if known is None:
            now = self._floor.clock()
            drained = self._floor.orders.drains(hello.worker)
            known = WorkerView(
                hello.worker, hello.boot, hello, now, planned_model=hello.loaded, quiet_since=now, drained=drained
            )
            self._floor.workers[hello.worker] = known
            await self._warming.warm(known)
            await self._forget_what_is_over(hello)
        known.hello = hello
        known.loaded = hello.loaded
        known.seen_at = self._floor.clock()
        if not known.compatible:
            log.error("worker %s speaks protocol %s-%s, we speak %s-%s: it gets no jobs; update it",
                      hello.worker, hello.proto_min, hello.proto_max, m.PROTO_MIN, m.PROTO_MAX)  # fmt: skip
        await self._welcome(known)
        await self._reconcile(known)
        self._floor.changed()

    async def _welcome(self, view: WorkerView) -> None:
        leases = self._floor.leases
        welcome = m.Welcome(boot=view.boot, hb_s=leases.heartbeat_s, lease_s=leases.lease_s)
        await self._floor.transport.send(view.name, welcome)

    async def _is_second(self, view: WorkerView, boot: str) -> bool:
        """Whether these are two machines with one invite. The one that came later is served: were each taken for the
        other's restart, none would ever end a job."""
        if boot == view.boot or boot not in self._replaced.get(view.name, ()):
            return False
        view.twin_at = self._floor.clock()
        now = self._floor.clock()
        if view.name not in self._told_at:
            log.error("two machines have joined as %s with one invite; the later one is served. "
                      "Give the other an invite of its own: /workers add", view.name)  # fmt: skip
        # A welcome is answered at once: to each word of it they would go back and forth without end.
        if now - self._told_at.get(view.name, float("-inf")) >= self._floor.leases.heartbeat_s:
            self._told_at[view.name] = now
            await self._welcome(view)
        return True

    async def _forget_what_is_over(self, hello: m.Hello) -> None:
        """Trainings that ended for good, or were taken back, while this worker was away."""
        if self._settler.trainings is None:
            return
        for job in hello.kept:
            training = await self._settler.trainings.get(JobId(job))
            if training is None or training.status in (JobStatus.DONE, JobStatus.DELIVERING, JobStatus.DELIVERED):
                await self._floor.transport.send(hello.worker, m.Forget(worker=hello.worker, job=job))

    async def _reconcile(self, view: WorkerView) -> None:
        """Adopts what the worker really runs, and takes back what the table says it has but it does not know."""
        for running in view.hello.running:
            if running.job not in view.assigned and not await self._adopt(view, running):
                await self._floor.send_cancel(view.name, running.job, running.attempt, "fenced")
        for job_id, orphan in list(self._floor.orphans.items()):
            if orphan.worker == view.name and not self._floor.end_is_under_way(job_id):
                log.info("job %s was lost: %s was restarted", job_id, view.name)
                await self._losses.lose(job_id, orphan.attempt, blamed=orphan.blamed, outcome=orphan.outcome)

    async def _adopt(self, view: WorkerView, running: m.Running) -> bool:
        """Takes up what this worker still draws from before our restart, or from before it fell silent."""
        job_id = JobId(running.job)
        orphan = self._floor.orphans.get(job_id)
        if orphan is not None and (orphan.attempt, orphan.worker) == (running.attempt, view.name):
            job = await self._jobs.get(job_id)
            if job is None or job.status is not JobStatus.ASSIGNED or job.attempt != running.attempt:
                return False
            self._floor.orphans.pop(job_id, None)
        else:
            job = await self._jobs.readopt(job_id, running.attempt, view.name)
            if job is None:
                return False
        log.info("job %s, attempt %s: still drawn by %s, adopted", job_id, running.attempt, view.name)
        if job.held_at is not None:  # asked of us, or of the bot before us
            self._floor.pausing.add(job_id)
        view.assigned[job_id] = Assigned(
            job_id, running.attempt, job.model, self._floor.clock(), preview=await self._floor.wish(job)
        )
        if running.phase not in NOT_ON_A_CARD:
            view.assigned[job_id].start(self._floor.clock())
        if job.training is not None and self._floor.holds(job.guild_id):  # an admin's word, while nobody heard it
            await self._floor.send_cancel(view.name, running.job, running.attempt, PAUSE)
        self._floor.version += 1
        return True

    async def _on_heartbeat(self, beat: m.Heartbeat) -> None:
        view = self._floor.workers.get(beat.worker)
        if view is not None and await self._is_second(view, beat.boot):
            return
        if view is None or view.boot != beat.boot:
            await self._floor.transport.send(beat.worker, m.Resync())
            return
        now = view.seen_at = self._floor.clock()
        if view.draining != beat.draining:
            view.draining = beat.draining  # its card's process is gone, or back
            self._floor.changed()
        view.beat = beat
        if view.loaded != beat.loaded:
            view.loaded = beat.loaded
            self._floor.version += 1  # whoever was waiting for the model does so no longer
        for running in beat.running:
            held = view.assigned.get(running.job)
            if held is None or held.attempt != running.attempt:
                if not await self._adopt(view, running):
                    await self._floor.send_cancel(view.name, running.job, running.attempt, "fenced")
                continue
            held.seen_at = now
            self._rates.hear(view, held, running.phase, now)
            if running.phase not in NOT_ON_A_CARD:
                self._note_start(held, now)
            if running.job in self._floor.cancelling:
                await self._floor.send_cancel(view.name, running.job, running.attempt, "user")
            elif running.job in self._floor.pausing or (view.drained and held.trains):
                await self._floor.send_cancel(view.name, running.job, running.attempt, PAUSE)

    async def _on_part(self, message: m.Partial) -> None:
        if not await self._inspecting.is_theirs(message):
            await self._floor.transport.taken(message)
            return
        checked = await self._inspecting.part(message)
        saved = await self._settler.partial(checked) if checked is not None else None
        if checked is not None and checked is not message:
            await self._floor.transport.taken(checked)
        await self._floor.transport.taken(message)
        if saved is not None:
            self._floor.tell(self._floor.listener.saved, JobId(message.job), saved)

    async def _on_progress(self, progress: m.Progress) -> None:
        view = self._floor.workers.get(progress.worker)
        held = view.assigned.get(progress.job) if view else None
        if view is None or held is None or held.attempt != progress.attempt:
            return  # a late attempt must not draw on the card of a newer one
        now = view.seen_at = held.seen_at = self._floor.clock()
        self._rates.hear(view, held, progress.phase, now)
        if progress.phase not in NOT_ON_A_CARD:
            self._note_start(held, now)
        progress = await self._inspecting.progress(progress, held.preview)
        if view.assigned.get(progress.job) is not held:
            return  # over, while its preview was looked at
        if progress.training is not None and held.trains:
            self._note_steps(held, progress.training, now)
        if progress.preview is not None and not _wanted(progress, held.preview):
            progress = progress.model_copy(update={"preview": None})
        self._floor.tell(self._floor.listener.progressed, progress)

    def _note_start(self, held: Assigned, now: float) -> None:
        if not held.started:
            held.start(now)
            self._floor.version += 1  # it no longer waits, and those behind it move up
            self._floor.tell(self._floor.listener.queue_changed)

    def _note_steps(self, held: Assigned, told: m.TrainingTold, now: float) -> None:
        if held.pace is None:
            held.pace = Pace(told.step, now, told.step, now, told.total_steps)
        held.pace.step, held.pace.at, held.pace.of = told.step, now, told.total_steps
        job_id = JobId(held.job)
        if self._trainings.hear(job_id, told, now):
            self._floor.spawn(self._trainings.flush(job_id), f"steps-{job_id}")

    async def _on_end(self, message: m.Done | m.Failed | m.Cancelled | m.Paused) -> None:
        job_id = JobId(message.job)
        if not await self._inspecting.is_theirs(message):
            await self._floor.transport.settled(m.Settled(worker=message.worker, job=job_id, attempt=message.attempt))
            return
        # Before anybody's turn to settle: a look takes time, and what one machine sends must not hold up the others.
        self._floor.unsettled[job_id] = self._floor.clock()
        message = await self._inspecting.end(message)
        view = self._floor.workers.get(message.worker)
        held = view.assigned.get(job_id) if view else None
        if held is not None and held.attempt != message.attempt:
            held = None
        said_s = message.run_s if isinstance(message, m.Done | m.Paused) else None
        used_s = await self._losses.close_training(held, said_s) if held is not None else 0.0
        # A result that cannot be stored yet (full disk) is delivered again and must not look lost meanwhile.
        self._floor.unsettled[job_id] = self._floor.clock()
        async with self._settling:
            status = await self._settler.settle(message, max_crashes=self._floor.leases.max_crashes, used_s=used_s)
        self._floor.unsettled.pop(job_id, None)
        orphan = self._floor.orphans.get(job_id)
        if orphan is not None and orphan.attempt == message.attempt:
            del self._floor.orphans[job_id]
        if view is not None and held is not None:
            if view.assigned.get(job_id) is held:
                del view.assigned[job_id]
            if held.trains:
                await self._learn_steps(job_id, view, held)
            else:
                view.quiet_since = self._floor.clock()
        if status is not None and not status.waiting:
            trained = held is not None and held.trains
            if isinstance(message, m.Done) and not message.missing and view is not None and not trained:
                await self._learn(job_id, view, message)
            await self._withdraw_others(job_id, message.attempt)
            self._floor.ended(job_id)
        elif status is not None and isinstance(message, m.Failed) and not (held is not None and held.trains):
            self._floor.trust.failed(message.worker, message.job)
        self._floor.changed()
        await self._floor.transport.settled(m.Settled(worker=message.worker, job=message.job, attempt=message.attempt))

    async def _learn(self, job_id: JobId, view: WorkerView, done: m.Done) -> None:
        # The job has ended in the table; nothing here may keep its user from being told.
        self._floor.workers.learn_load(view, done.load_s)
        try:
            job = await self._jobs.get(job_id)
            # Of one that went on from another's parts only the rest took that time.
            if job is not None and await self._settler.earlier_s(job_id, done.attempt) is None:
                await self._timings.learn(job.model, view.hello.gpu, job.work_units, done.run_s - done.load_s)
        except Exception:
            log.exception("the time of job %s was not learnt", job_id)

    async def _learn_steps(self, job_id: JobId, view: WorkerView, held: Assigned) -> None:
        job = await self._jobs.get(job_id)
        if job is not None:
            await self._trainings.learn(job, view.hello.gpu, held.pace)

    async def _withdraw_others(self, job_id: JobId, attempt: int) -> None:
        """A late `done` of an older attempt won: the newer attempt need not go on."""
        self._floor.orphans.pop(job_id, None)
        for view, held in self._floor.workers.holders(job_id):
            if held.attempt != attempt:
                del view.assigned[job_id]
                await self._floor.send_cancel(view.name, held.job, held.attempt, "done elsewhere")


def _wanted(progress: m.Progress, wish: m.PreviewWish) -> bool:
    """A worker of an older version, or one that lost its classifier, sends what was not asked for."""
    return wish.hz > 0 and (progress.preview_guarded or not wish.guarded)
