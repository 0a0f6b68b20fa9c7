"""Who is next, and what is sent to the worker that draws it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError

from bot.dispatch.composing import Composer
from bot.dispatch.entitled import Entitled
from bot.dispatch.fetching import FetchRates
from bot.dispatch.floor import PAUSE, Floor
from bot.dispatch.losses import Losses
from bot.dispatch.needs import NotHashedError
from bot.dispatch.policy import Candidate, Choice, Hand, Hands, Offer, Stop, Waiting, first_taker, offer
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SourceGoneError
from bot.dispatch.workers import Assigned, WorkerView
from bot.domain.ids import JobId
from bot.domain.job import TASK_MODEL, Job, JobStatus, Lane
from bot.storage.database import StorageFullError
from bot.storage.facts import Timings
from bot.storage.jobs import Jobs, QueueRow
from gpu_worker.protocol import messages as m

__all__ = ["HandingOut"]

log = logging.getLogger(__name__)

FALLBACK_UNIT_S = 1.0
"""Seconds per step-megapixel before anything was learnt; only the order depends on it, no ETA is shown from it."""
RETRY_S = 1.0
SHEETS = "sheet"
LONG_QUEUE = 200
"""One of so many is not read anew for each job that is handed out."""
LOOK_AGAIN_S = 1.0
"""An idle worker that left its turn to a faster one is asked again: that one may take longer than was thought."""
FETCH_S = 120.0
"""To get a checkpoint of which nothing is known."""
FETCH_MORE_S = 1.0
"""Of a fetch, whatever its size."""


MANY_WORKERS = 100
"""What so many hold is not looked through for each job that is handed out."""
KNOWN_FOR = 16
"""Times as long as a look at all of them took: at most a sixteenth of the time goes there."""


@dataclass(frozen=True)
class _Queue:
    """What was read last."""

    waiting: Waiting
    sheets: frozenset[JobId]
    fresh_until: float


@dataclass
class _Known:
    """What was known last of the workers that take work."""

    hands: Hands
    views: dict[str, WorkerView]
    seen: dict[str, Hashable]
    """What each was then."""
    fresh_until: float


def _seen(view: WorkerView) -> Hashable:
    return view.boot, id(view.hello), len(view.assigned), next(reversed(view.assigned), None), view.planned_model


def _lacking(view: WorkerView, needs: Sequence[m.ModelRef]) -> int:
    """Bytes that it has to fetch. What it has by that name and has not hashed yet is thought to be ours."""
    if not needs:
        return 0
    hashes = {fact.sha256 for fact in view.hello.models}
    unhashed = {(fact.kind, fact.name) for fact in view.hello.models if fact.sha256 is None}
    return sum(
        ref.size_bytes for ref in needs if ref.sha256 not in hashes and (ref.kind, ref.name) not in unhashed
    )  # fmt: skip


class HandingOut:
    def __init__(
        self,
        floor: Floor,
        losses: Losses,
        *,
        jobs: Jobs,
        timings: Timings,
        settler: Settler,
        composer: Composer,
        entitled: Entitled,
        rates: FetchRates,
    ) -> None:
        self._floor = floor
        self._losses = losses
        self._jobs = jobs
        self._timings = timings
        self._settler = settler
        self._composer = composer
        self._entitled = entitled
        self._rates = rates
        self._queue: _Queue | None = None
        self._known: _Known | None = None

    async def pump(self) -> None:
        while True:
            await self._floor.wake.wait()
            self._floor.wake.clear()
            try:
                while await self._hand_out_one():
                    pass
                self._look_again_at_a_long_queue()
                self._look_again_for_hashes()
            except Exception:
                log.exception("handing out failed; retried in a second")
                self._queue = self._known = None
                await asyncio.sleep(RETRY_S)
                self._floor.wake.set()

    async def _hand_out_one(self) -> bool:
        if not any(view.credits > 0 for view in self._floor.workers.values()):
            return False
        queue = await self._read_queue()
        hands = self._know_hands(queue.sheets)
        self._floor.look_again_at = None
        views = {view.name: view for view in self._in_turn(hands)}

        def ask(name: str, stop: Stop) -> Offer:
            view = views[name]
            lanes = self._lanes(view, queue.waiting)
            if not lanes:
                return Offer(None)
            found = offer(
                queue.waiting, self._floor.fair, hands[name], hands,
                lanes=lanes,
                draws=lambda model: self._floor.workers.may_draw(view, model),
                takes=lambda job: self._may_be_given(view, job, queue.sheets),
                stop=stop,
            )  # fmt: skip
            self._note_left(view, found)
            return found

        def may(name: str, job: Candidate) -> bool:
            return job.lane in self._lanes(views[name], queue.waiting)

        taken = first_taker(list(views), ask, lambda name: self._kind(views.get(name)), may)
        if taken is None:
            return False
        name, choice = taken
        await self._hand_out(views[name], choice)
        queue.waiting.remove(choice.job)
        queue.waiting.skip(choice.passed_over)
        hands.given(choice.job, self._hand(views[name], queue.sheets))
        if self._known is not None:
            self._known.seen[name] = _seen(views[name])
        return True

    def _in_turn(self, hands: Hands) -> list[WorkerView]:
        """Idle ones first: a prefetched job must not wait behind one worker while another has nothing to do. Those that
        train count as idle, but nobody is interrupted while another really is. Whoever came free last is the first of
        those: what it takes has been left by the others."""
        known = self._known
        ready = [] if known is None else [view for view in known.views.values() if view.credits > 0]
        return sorted(ready, key=lambda view: (view.others, len(view.assigned), -hands.turn(view.name)))

    def _know_hands(self, sheets: Collection[JobId]) -> Hands:
        """As they are now. Of many, only those that hold something else than a moment ago are looked at again."""
        now, known = time.perf_counter(), self._known
        views = {name: view for name, view in self._floor.workers.items() if view.takes_work}
        if known is None or now >= known.fresh_until or known.views.keys() != views.keys():
            hands = Hands([self._hand(view, sheets) for view in views.values()])
            took_s = time.perf_counter() - now
            fresh_until = now + KNOWN_FOR * took_s if len(views) >= MANY_WORKERS else 0.0
            self._known = _Known(hands, views, {name: _seen(view) for name, view in views.items()}, fresh_until)
            return hands
        known.views = views
        for name, view in views.items():
            seen = _seen(view)
            if known.seen[name] != seen:
                known.hands.update(self._hand(view, sheets))
                known.seen[name] = seen
        return known.hands

    async def _read_queue(self) -> _Queue:
        """As it is now. A long one may be a moment old: reading it takes at most a quarter of the time. Who was
        cancelled meanwhile is not claimed, and what was paused meanwhile is not given."""
        now = time.perf_counter()
        if self._queue is not None and now < self._queue.fresh_until:
            return self._queue
        rows = [r for r in await self._jobs.queue() if r.status is JobStatus.QUEUED and not r.held]
        sheets = frozenset(row.id for row in rows if row.script_id is not None)
        if len(rows) >= LONG_QUEUE:
            waiting = await asyncio.to_thread(self._line_up, rows)
        else:
            waiting = self._line_up(rows)
        took_s = time.perf_counter() - now
        self._queue = _Queue(waiting, sheets, now + 4 * took_s if len(waiting) >= LONG_QUEUE else 0.0)
        return self._queue

    def _line_up(self, rows: Sequence[QueueRow]) -> Waiting:
        """Changes nothing, so that a long one may be lined up beside the event loop."""
        return Waiting([self.candidate(r) for r in rows if not self._floor.holds(r.guild_id)], self._floor.fair)

    def _look_again_at_a_long_queue(self) -> None:
        """Nobody takes any more of what was read; what came since has not been looked at."""
        if self._queue is not None:
            remaining_s = self._queue.fresh_until - time.perf_counter()
            if remaining_s > 0:
                asyncio.get_running_loop().call_later(remaining_s, self._floor.wake.set)

    def _look_again_for_hashes(self) -> None:
        if self._floor.workers.waits_for_hash:
            self._floor.workers.waits_for_hash = False
            self._look_again_in(LOOK_AGAIN_S)

    def _look_again_in(self, seconds: float) -> None:
        at = self._floor.clock() + seconds
        self._floor.look_again_at = min(at, self._floor.look_again_at or at)

    def _hand(self, view: WorkerView, sheets: Collection[JobId]) -> Hand:
        may_draw, lanes = self._floor.workers.may_draw, view.hello.lanes
        return Hand(
            view.name,
            view.free_in_s(self._floor.clock(), lambda held: self._takes_s(view, held)),
            view.planned_model,
            takes=lambda job: (
                view.takes_work
                and (not lanes or job.lane in lanes)
                and may_draw(view, job.model)
                and self._may_be_given(view, job, sheets)
            ),
            pace=partial(self._timings.pace, device=view.hello.gpu),
            load_s=partial(self.load_s, view),
            fetch_s=partial(self.fetch_s, view),
            kind=(view.hello.gpu, lanes, view.hello.tasks, view.checkpoints),
            family=(view.hello.gpu, lanes, view.hello.tasks),
        )

    def _takes_s(self, view: WorkerView, held: Assigned) -> float:
        """From its start to its end on that worker, and what it has to fetch before that; 0 where nobody knows."""
        if held.charged is None:
            return 0.0
        return self.prepares_s(view, held) + held.charged.cost_s * self.pace(view, held.model)

    def prepares_s(self, view: WorkerView, held: Assigned) -> float:
        """Until it is drawn, of the time that a job takes there: its checkpoint is read, and fetched before where it
        has to be. What takes longer than was thought is thought to be half over."""
        if held.started or not held.fetch_bytes:
            return held.reads_s
        gone_s = self._floor.clock() - held.fetches_since if held.fetches_since is not None else 0.0
        return held.reads_s + abs(self._fetch_s(view, held.fetch_bytes) - gone_s)

    def _fetch_s(self, view: WorkerView, size: int) -> float:
        return FETCH_MORE_S + size / self._rates.of(view.hello.machine)

    def _read_s(self, view: WorkerView) -> float:
        return view.load_s if view.load_s is not None else self._floor.workers.usual_load_s

    def pace(self, view: WorkerView, model: str) -> float:
        """As a `Hand` has it."""
        return self._timings.pace(model, view.hello.gpu)

    def load_s(self, view: WorkerView, model: str) -> float:
        """As a `Hand` has it."""
        return self.fetch_s(view, model) + self._read_s(view)

    def fetch_s(self, view: WorkerView, model: str) -> float:
        """As a `Hand` has it."""
        if self._floor.workers.has(view, model):
            return 0.0
        size = self._floor.workers.fetch_bytes(view, model)
        return FETCH_S if size is None else self._fetch_s(view, size)

    def _kind(self, view: WorkerView | None) -> Hashable:
        """Workers of one kind may be given the same jobs."""
        if view is None:
            return None
        mark = self._floor.trust.mark(view.name)
        return view.hello.lanes, view.checkpoints, view.hello.tasks, view.others > 0, mark

    def _may_be_given(self, view: WorkerView, job: Candidate, sheets: Collection[JobId]) -> bool:
        # A worker of an older version draws no sheets.
        return (
            job.id not in view.refused
            and (job.id not in sheets or SHEETS in view.hello.tasks)
            and not self._floor.holds(job.guild_id)
            and not (self._floor.trust.is_for_others(view.name, job.id) and self._may_go_elsewhere(job, sheets))
        )

    def _may_go_elsewhere(self, job: Candidate, sheets: Collection[JobId]) -> bool:
        """To another card than the one on which it failed, or whose machine sent what was no result of it."""
        return any(
            other.takes_work
            and job.id not in other.refused
            and (not other.hello.lanes or job.lane in other.hello.lanes)
            and (job.id not in sheets or SHEETS in other.hello.tasks)
            and not self._floor.trust.is_for_others(other.name, job.id)
            and self._floor.workers.may_draw(other, job.model)
            for other in self._floor.workers.values()
        )

    def _note_left(self, view: WorkerView, found: Offer) -> None:
        now = self._floor.clock()
        for job_id in found.left:
            self._floor.left_at.setdefault(job_id, now)
        if found.left and found.choice is None and not view.others:
            self._look_again_in(LOOK_AGAIN_S)

    def _lanes(self, view: WorkerView, waiting: Waiting) -> frozenset[Lane]:
        """A worker that draws takes nothing from batch for later, unless it is batch's turn: whoever comes meanwhile
        would wait for that, too. A training is for a worker that holds nothing and had nothing else for a while."""
        lanes = {lane for lane in waiting.lanes if not view.hello.lanes or lane in view.hello.lanes}
        if view.others >= view.hello.slots and not self._floor.fair.is_batch_due:
            lanes.discard(Lane.BATCH)
        if Lane.TRAINING in lanes and not (view.idle and self._is_quiet(view)):
            lanes.discard(Lane.TRAINING)
        return frozenset(lanes)

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
        if job.model != view.planned_model and not job.model.startswith(TASK_MODEL):
            held.reads_s = self._read_s(view)
            if not self._floor.workers.has(view, job.model):
                held.fetch_bytes = self._floor.workers.fetch_bytes(view, job.model) or 0
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
        self._floor.left_at.pop(choice.job.id, None)
        for job_id in choice.passed_over:
            self._floor.passed_over_at.setdefault(job_id, self._floor.clock())
        if choice.passed_over:
            with contextlib.suppress(StorageFullError):
                await self._jobs.note_skipped(choice.passed_over)

    async def _send_assign(self, view: WorkerView, held: Assigned, job: Job) -> None:
        accepted, later = None, False
        async with view.sending:
            if view.assigned.get(job.id) is not held:
                return  # lost or cancelled while it waited its turn, or its machine was removed
            try:
                held.preview = await self._floor.wish(job)
                message, needs = await self._composer.compose(job, view.name, held.preview, fetches=view.hello.fetches)
                if view.assigned.get(job.id) is not held:
                    return
                self._entitled.note(message, needs)
                held.fetch_bytes = _lacking(view, message.needs)
                accepted = await self._floor.transport.assign(view.name, message)
            except NotHashedError as error:
                log.info("job %s waits for the hash of %s", job.id, error)
                later = True
            except (OSError, StorageFullError):
                log.exception("job %s could not be handed out; it is tried again", job.id)
                later = True
            except SourceGoneError as error:
                log.warning("job %s: %s", job.id, error)
                await self._give_up(view, held, job, "bad_input", {"reason": "source_gone"}, str(error))
                return
            except Exception as error:
                log.exception("job %s cannot be handed out", job.id)
                await self._give_up(view, held, job, "other", {}, repr(error))
                return
        if later:
            await asyncio.sleep(RETRY_S)  # what else that worker is sent does not wait for this
            await self.take_back(view, held, "unsent")
        elif accepted is False:
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
        """Into the queue, if it is still there; what ended or was lost meanwhile was settled by that."""
        if view.assigned.get(held.job) is not held:
            return
        self._forget(view, held)
        if held.charged is not None:
            self._floor.fair.refund(held.charged)
        await self._losses.lose(JobId(held.job), held.attempt, blamed=False, outcome=outcome)

    def _forget(self, view: WorkerView, held: Assigned) -> None:
        if view.assigned.get(held.job) is held:
            del view.assigned[held.job]
        last = next((h for h in reversed(view.assigned.values()) if not h.model.startswith(TASK_MODEL)), None)
        view.planned_model = last.model if last is not None else view.hello.loaded

    def candidate(self, row: QueueRow) -> Candidate:
        cost = self._timings.estimate_s(row.model, row.work_units)
        passed_over_at, left_at = self._floor.passed_over_at.get(row.id), self._floor.left_at.get(row.id)
        return Candidate(
            row.id, row.user_id, row.lane, row.model,
            cost_s=cost if cost is not None else row.work_units * FALLBACK_UNIT_S,
            skipped=row.skipped,
            passed_over_s=self._floor.clock() - passed_over_at if passed_over_at is not None else 0.0,
            left_s=self._floor.clock() - left_at if left_at is not None else 0.0,
            guild_id=row.guild_id, joined_at=row.moved_at or row.created_at, moved=row.moved,
        )  # fmt: skip
