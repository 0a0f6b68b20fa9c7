"""Who is next, and what is sent to the worker that draws it."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from pydantic import ValidationError

from bot.dispatch.floor import PAUSE, Floor
from bot.dispatch.losses import Losses
from bot.dispatch.policy import Candidate, Choice, choose
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SourceGoneError, SpecResolver
from bot.dispatch.workers import Assigned, WorkerView
from bot.domain.ids import JobId
from bot.domain.job import TASK_MODEL, Job, JobStatus, Lane
from bot.storage.database import StorageFullError
from bot.storage.facts import Timings
from bot.storage.jobs import Jobs, QueueRow
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Sheet

__all__ = ["HandingOut"]

log = logging.getLogger(__name__)

FALLBACK_UNIT_S = 1.0
"""Seconds per step-megapixel before anything was learnt; only the order depends on it, no ETA is shown from it."""
RETRY_S = 1.0
SHEETS = "sheet"


class HandingOut:
    def __init__(
        self, floor: Floor, losses: Losses, *, jobs: Jobs, timings: Timings, settler: Settler, resolver: SpecResolver
    ) -> None:
        self._floor = floor
        self._losses = losses
        self._jobs = jobs
        self._timings = timings
        self._settler = settler
        self._resolver = resolver

    async def pump(self) -> None:
        while True:
            await self._floor.wake.wait()
            self._floor.wake.clear()
            try:
                while await self._hand_out_one():
                    pass
            except Exception:
                log.exception("handing out failed; retried in a second")
                await asyncio.sleep(RETRY_S)
                self._floor.wake.set()

    async def _hand_out_one(self) -> bool:
        # Idle workers first: a prefetched job must not wait behind one worker while another has nothing to do. Those
        # that train count as idle, but nobody is interrupted while another really is.
        ready = sorted(
            (v for v in self._floor.workers.values() if v.credits > 0), key=lambda v: (v.others, len(v.assigned))
        )
        if not ready:
            return False
        rows = [
            r
            for r in await self._jobs.queue()
            if r.status is JobStatus.QUEUED and not r.held and not self._floor.holds(r.guild_id)
        ]
        candidates = [self.candidate(row) for row in rows]
        sheets = {row.id for row in rows if row.script_id is not None}
        self._floor.look_again_at = None
        for view in ready:
            draws_sheets = SHEETS in view.hello.tasks  # a worker of an older version does not
            taken = [
                c
                for c in candidates
                if c.id not in view.refused and self._may_wait_in(view, c) and (draws_sheets or c.id not in sheets)
            ]
            choice = choose(
                taken, self._floor.fair,
                planned_model=view.planned_model, lanes=view.hello.lanes,
                draws=lambda model, view=view: self._floor.workers.may_draw(view, model),
            )  # fmt: skip
            if choice is not None:
                await self._hand_out(view, choice)
                return True
        return False

    def _may_wait_in(self, view: WorkerView, candidate: Candidate) -> bool:
        """A worker that draws takes nothing from batch for later, unless it is batch's turn: whoever comes meanwhile
        would wait for that, too. A training is for a worker that holds nothing and had nothing else for a while."""
        if candidate.lane is Lane.TRAINING:
            return view.idle and self._is_quiet(view)
        busy = view.others >= view.hello.slots
        return not busy or candidate.lane is not Lane.BATCH or self._floor.fair.is_batch_due

    def _is_quiet(self, view: WorkerView) -> bool:
        quiet_at = view.quiet_since + self._floor.leases.quiet_s
        if view.set_aside or self._floor.clock() >= quiet_at:
            return True
        self._floor.look_again_at = min(quiet_at, self._floor.look_again_at or quiet_at)
        return False

    async def _hand_out(self, view: WorkerView, choice: Choice) -> None:
        candidate = choice.job
        try:
            job = await self._jobs.claim(candidate.id, view.name, view.boot)
        except ValidationError:
            log.exception("job %s was stored by another version and cannot be read", candidate.id)
            await self._settler.fail_unreadable(candidate.id)
            self._floor.ended(candidate.id)
            return
        if job is None:
            return  # cancelled this very moment; look again
        if self._floor.workers.get(view.name) is not view:  # gone while we wrote
            await self._losses.lose(job.id, job.attempt, blamed=False, outcome="unsent")
            return
        self._floor.fair.started(choice)
        await self._note_passed_over(choice)
        held = Assigned(job.id, job.attempt, job.model, self._floor.clock(), charged=choice.charged)
        view.assigned[job.id] = held
        if held.trains:
            view.planned_model = None  # it clears the memory of whatever is loaded
        else:
            view.quiet_since = self._floor.clock()
        if not job.model.startswith(TASK_MODEL):
            view.planned_model = job.model
        self._floor.version += 1
        self._floor.spawn(self._send_assign(view, held, job), f"assign-{job.id}.{job.attempt}")

    async def _note_passed_over(self, choice: Choice) -> None:
        self._floor.passed_over_at.pop(choice.job.id, None)
        for job_id in choice.passed_over:
            self._floor.passed_over_at.setdefault(job_id, self._floor.clock())
        if choice.passed_over:
            with contextlib.suppress(StorageFullError):
                await self._jobs.note_skipped(choice.passed_over)

    async def _send_assign(self, view: WorkerView, held: Assigned, job: Job) -> None:
        async with view.sending:
            if view.assigned.get(job.id) is not held:
                return  # lost or cancelled while it waited its turn
            try:
                held.preview = await self._floor.wish(job)
                accepted = await self._floor.transport.assign(view.name, await self._message(view, job, held.preview))
            except (OSError, StorageFullError):
                log.exception("job %s could not be handed out; it is tried again", job.id)
                await asyncio.sleep(RETRY_S)
                await self.take_back(view, held, "unsent")
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
            await self.take_back(view, held, "refused")
        elif job.id in self._floor.cancelling:
            await self._floor.send_cancel(view.name, job.id, job.attempt, "user")
        elif job.id in self._floor.pausing or (held.trains and self._floor.holds(job.guild_id)):
            await self._floor.send_cancel(view.name, job.id, job.attempt, PAUSE)

    async def _give_up(
        self, view: WorkerView, held: Assigned, job: Job, kind: m.FailureKind, detail: dict[str, object], message: str
    ) -> None:
        self._forget(view, held)
        if await self._settler.fail(job.id, job.attempt, kind, detail, message):
            self._floor.ended(job.id)

    async def take_back(self, view: WorkerView, held: Assigned, outcome: str) -> None:
        self._forget(view, held)
        if held.charged is not None:
            self._floor.fair.refund(held.charged)
        await self._losses.lose(JobId(held.job), held.attempt, blamed=False, outcome=outcome)

    def _forget(self, view: WorkerView, held: Assigned) -> None:
        if view.assigned.get(held.job) is held:
            del view.assigned[held.job]
        last = next((h for h in reversed(view.assigned.values()) if not h.model.startswith(TASK_MODEL)), None)
        view.planned_model = last.model if last is not None else view.hello.loaded

    async def _message(self, view: WorkerView, job: Job, preview: m.PreviewWish) -> m.Assign:
        return m.Assign(
            worker=view.name,
            job=job.id,
            attempt=job.attempt,
            lane=job.lane,
            model=job.model,
            spec=await self._resolver.resolve(job),
            resume=job.state,
            parts=await self._parts(job),
            max_run_s=self._may_take_s(job),
            preview=preview,
        )

    def _may_take_s(self, job: Job) -> float:
        if job.training is not None:  # without getting any further; all of it may take days
            return self._floor.leases.max_step_s
        # A cell has the time that it would have by itself.
        return self._floor.leases.max_run_s * (len(job.task.cells) if isinstance(job.task, Sheet) else 1)

    async def _parts(self, job: Job) -> tuple[m.KeptPart, ...]:
        """What earlier attempts finished. One that cannot be handed over is made again."""
        if self._settler.parts is None or job.attempt <= 1:
            return ()
        found: list[m.KeptPart] = []
        for part in await self._settler.parts.of_job(job.id):
            with contextlib.suppress(OSError):
                image = await self._floor.transport.put_file(part.path, part.sha256, part.mime)
                found.append(m.KeptPart(n=part.n, image=image))
        return tuple(found)

    def candidate(self, row: QueueRow) -> Candidate:
        cost = self._timings.estimate_s(row.model, row.work_units)
        passed_over_at = self._floor.passed_over_at.get(row.id)
        return Candidate(
            row.id, row.user_id, row.lane, row.model,
            cost_s=cost if cost is not None else row.work_units * FALLBACK_UNIT_S,
            skipped=row.skipped,
            passed_over_s=self._floor.clock() - passed_over_at if passed_over_at is not None else 0.0,
            guild_id=row.guild_id, joined_at=row.moved_at or row.created_at, moved=row.moved,
        )  # fmt: skip
