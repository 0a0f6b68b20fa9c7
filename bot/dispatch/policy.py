"""Who is next: lanes, fair shares, model affinity. Pure; the dispatcher feeds it rows and its clock.

Lanes go in strict order, but one start in `BATCH_SHARE` belongs to the batch lane while it has work. Training is last:
it makes way for everything (bot/dispatch/handing.py), so it begins only where nothing else can. Inside a lane the
order is start-time fair queueing (Goyal, Vin, Cheng 1996): each user has a virtual start time that grows by the
estimated GPU seconds of what they start, and the smallest goes first, so fifty users share alike however many jobs one
of them queues. Then affinity: among users within `SLACK_S` of the smallest, the first job in their first `LOOK_AHEAD`
that needs the worker's planned model goes first; a job passed over `MAX_SKIPS` times or since `MAX_WAIT_S` ends that.

Admins' moves lie over all this (bot/dispatch/moves.py): an operator's front goes before everything, a server's front
takes a turn that its server got anyway, and what was moved back waits for those who were there at that moment. A
training is moved among trainings alone.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from bot.dispatch.moves import held_back, operator_front, server_front
from bot.domain.ids import JobId, UserId
from bot.domain.job import Lane
from bot.domain.queue_rules import Move

__all__ = ["SHORT_LANES", "Candidate", "Choice", "FairClock", "Line", "choose", "plan"]

SHORT_LANES = (Lane.INTERACTIVE, Lane.BATCH)
"""What a training makes way for."""

BATCH_SHARE = 8
LOOK_AHEAD = 8
SLACK_S = 2.0
MAX_SKIPS = 20
MAX_WAIT_S = 120.0
PLANNED_EXACTLY = 100
"""Beyond this many places `plan` leaves affinity out: nobody watches place 101, and planning it all takes seconds."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A queued job as policy sees it; candidates come oldest first."""

    id: JobId
    user_id: UserId
    lane: Lane
    model: str
    cost_s: float
    skipped: int = 0
    passed_over_s: float = 0.0
    """Since affinity first let a later job go before it; 0 if it never did. A long queue alone ends no affinity."""
    guild_id: int | None = None
    joined_at: float = 0.0
    """When it came, or was moved."""
    moved: Move | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    job: Candidate
    virtual_s: float
    """Smallest virtual start time among those who waited in the lane: what the clock moves on to."""
    passed_over: tuple[JobId, ...] = ()
    """Jobs that would have gone first but for affinity."""
    payer: UserId | None = None
    """Whose turn a server's front took; None: the job's own user's."""

    @property
    def charged(self) -> Candidate:
        """The job as it is charged: to whoever's turn it was, so that no other server pays for a server's move."""
        return self.job if self.payer is None else replace(self.job, user_id=self.payer)


@dataclass
class FairClock:
    """Virtual time per lane and user, and the number of starts since batch last had one.

    A lane has its own time: the interactive one runs ahead of batch, and would make all batch users equal again.
    """

    virtual: dict[tuple[Lane, UserId], float] = field(default_factory=dict[tuple[Lane, UserId], float])
    now: dict[Lane, float] = field(default_factory=dict[Lane, float])
    """A user who comes back begins here, not in the past."""
    since_batch: int = 0

    @property
    def is_batch_due(self) -> bool:
        """The next start belongs to batch."""
        return self.since_batch >= BATCH_SHARE - 1

    def start_of(self, lane: Lane, user: UserId) -> float:
        return max(self.virtual.get((lane, user), 0.0), self.now.get(lane, 0.0))

    def started(self, choice: Choice) -> None:
        job = choice.charged
        # Not to the chosen job's own start: affinity may take it from ahead of the others, who must keep their claim.
        self.virtual[job.lane, job.user_id] = self.start_of(job.lane, job.user_id) + job.cost_s
        self.now[job.lane] = max(self.now.get(job.lane, 0.0), choice.virtual_s)
        if job.lane is not Lane.TRAINING:
            self.since_batch = 0 if job.lane is Lane.BATCH else self.since_batch + 1
        if len(self.virtual) > 10_000:
            self.virtual = {key: at for key, at in self.virtual.items() if at > self.now.get(key[0], 0.0)}

    def refund(self, job: Candidate) -> None:
        """A start that came to nothing through no fault of the job is not paid for."""
        key = (job.lane, job.user_id)
        if key in self.virtual:
            self.virtual[key] = max(0.0, self.virtual[key] - job.cost_s)

    def charge_used(self, job: Candidate, used_s: float) -> None:
        """A start that was broken off is paid for as long as it ran."""
        self.refund(job)
        key = (job.lane, job.user_id)
        self.virtual[key] = self.start_of(*key) + used_s

    def resume(self, used_s: dict[tuple[Lane, UserId], float]) -> None:
        """Starts from what users had lately; newcomers begin level with the least used, so only the order counts."""
        self.virtual = dict(used_s)
        for lane in Lane:
            self.now[lane] = min((at for (its, _), at in used_s.items() if its is lane), default=0.0)

    def copy(self) -> FairClock:
        return FairClock(dict(self.virtual), dict(self.now), self.since_batch)


class _Waiting:
    """The queue by lane and user. Picking costs one step per user, not per job."""

    def __init__(self, queued: Iterable[Candidate]) -> None:
        self._lanes: dict[Lane, dict[UserId, list[Candidate]]] = {}
        self._arrival: dict[JobId, int] = {}
        self._moved: dict[JobId, Candidate] = {}
        """The few that an admin moved."""
        for index, candidate in enumerate(queued):
            self._lanes.setdefault(candidate.lane, {}).setdefault(candidate.user_id, []).append(candidate)
            self._arrival[candidate.id] = index
            if candidate.moved is not None:
                self._moved[candidate.id] = candidate

    def __len__(self) -> int:
        return len(self._arrival)

    def remove(self, candidate: Candidate) -> None:
        users = self._lanes[candidate.lane]
        users[candidate.user_id].remove(candidate)
        if not users[candidate.user_id]:
            del users[candidate.user_id]
        if not users:
            del self._lanes[candidate.lane]
        del self._arrival[candidate.id]
        self._moved.pop(candidate.id, None)

    def choose(
        self, clock: FairClock, planned_model: str | None, lanes: frozenset[str], draws: Callable[[str], bool]
    ) -> Choice | None:
        front = self._front(SHORT_LANES, clock, lanes, draws)
        if front is not None:
            return front
        for lane in self._lane_order(clock, lanes):
            choice = self._front((lane,), clock, lanes, draws) if lane is Lane.TRAINING else None
            if choice is not None:
                return choice
            choice = self._choose_in(lane, clock, planned_model, draws)
            if choice is not None:
                swapped = server_front(self._moved.values(), choice.job, draws) if self._moved else None
                return choice if swapped is None else Choice(swapped, choice.virtual_s, payer=choice.job.user_id)
        return None

    def _front(
        self, among: Collection[Lane], clock: FairClock, lanes: frozenset[str], draws: Callable[[str], bool]
    ) -> Choice | None:
        """What an operator moved before everything in these lanes."""
        moved = [job for job in self._moved.values() if job.lane in among]
        front = operator_front(moved, lanes, draws) if moved else None
        if front is None:
            return None
        return Choice(front, min(clock.start_of(front.lane, user) for user in self._lanes[front.lane]))

    def _lane_order(self, clock: FairClock, lanes: frozenset[str]) -> list[Lane]:
        short = reversed(SHORT_LANES) if clock.is_batch_due else SHORT_LANES
        return [lane for lane in (*short, Lane.TRAINING) if lane in self._lanes and (not lanes or lane in lanes)]

    def _choose_in(
        self, lane: Lane, clock: FairClock, planned_model: str | None, draws: Callable[[str], bool]
    ) -> Choice | None:
        def may_go(job: Candidate) -> bool:
            return draws(job.model) and not (job.moved is not None and held_back(job, self._lane(lane), draws))

        heads: list[tuple[float, int, Candidate]] = []
        for user, jobs in self._lanes[lane].items():
            head = next(filter(may_go, jobs), None)
            if head is not None:
                heads.append((clock.start_of(lane, user), self._arrival[head.id], head))
        if not heads:
            return None
        virtual_s, _, first = min(heads)  # equal times: the older job
        if planned_model is None or first.model == planned_model or _overdue(first) or not draws(planned_model):
            return Choice(first, virtual_s)
        for _, _, head in sorted(entry for entry in heads if entry[0] <= virtual_s + SLACK_S):
            jobs = list(itertools.islice(filter(may_go, self._lanes[lane][head.user_id]), LOOK_AHEAD))
            for index, candidate in enumerate(jobs):
                if candidate.model == planned_model:
                    passed = dict.fromkeys((first.id, *(job.id for job in jobs[:index])))
                    return Choice(candidate, virtual_s, tuple(passed))
                if _overdue(candidate):
                    break
        return Choice(first, virtual_s)

    def _lane(self, lane: Lane) -> Iterator[Candidate]:
        return itertools.chain.from_iterable(self._lanes[lane].values())

    def by_fair_start(self, clock: FairClock) -> list[Candidate]:
        """What is left in the order of fair shares alone."""
        keyed: list[tuple[int, float, int, Candidate]] = []
        for rank, lane in enumerate((*SHORT_LANES, Lane.TRAINING)):
            for user, jobs in self._lanes.get(lane, {}).items():
                start = clock.start_of(lane, user)
                for job in jobs:
                    moved = 0 if job.moved is None else -1 if job.moved.to_front else 1
                    keyed.append((3 * rank + moved, start, self._arrival[job.id], job))
                    start += job.cost_s
        return [job for _, _, _, job in sorted(keyed)]


def _overdue(candidate: Candidate) -> bool:
    return candidate.skipped >= MAX_SKIPS or candidate.passed_over_s >= MAX_WAIT_S


def _draws_all(model: str) -> bool:
    return True


def choose(
    queued: Sequence[Candidate],
    clock: FairClock,
    *,
    planned_model: str | None,
    lanes: Iterable[str] = (),
    draws: Callable[[str], bool] = _draws_all,
) -> Choice | None:
    """The next job for a worker whose last assigned job needs `planned_model`.

    `lanes` limits it where not empty; `draws` says which models that worker may be given.
    """
    return _Waiting(queued).choose(clock, planned_model, frozenset(lanes), draws)


@dataclass(frozen=True, slots=True)
class Line:
    """One worker as the plan sees it."""

    planned_model: str | None = None
    free_in_s: float = 0.0
    """Until what it already holds is done."""
    lanes: tuple[str, ...] = ()
    refuses: frozenset[str] = frozenset()
    """Models that another worker has and this one has not."""
    trains_for_s: float = 0.0
    """Until the training that it holds is done, if nothing interrupts it: only another training waits for that."""


def plan(queued: Sequence[Candidate], clock: FairClock, lines: Sequence[Line]) -> list[tuple[Candidate, float]]:
    """The order in which the queue will start if nothing else comes, with the seconds until each job is ready.

    Whoever is free first takes the next job. Without any worker the plan is that of one that is free now.
    """
    clock = clock.copy()
    waiting = _Waiting(queued)
    order: list[tuple[Candidate, float]] = []
    free = [(line.free_in_s, index, line.planned_model) for index, line in enumerate(lines or (Line(),))]
    heapq.heapify(free)
    trains_for_s = {index: line.trains_for_s for index, line in enumerate(lines)}
    last_s = 0.0
    while free and len(waiting) and len(order) < PLANNED_EXACTLY:
        at_s, index, planned = heapq.heappop(free)
        line = lines[index] if lines else Line()
        choice = waiting.choose(
            clock, planned, frozenset(line.lanes), lambda model, line=line: model not in line.refuses
        )
        if choice is None:
            continue  # nothing here is for this worker
        clock.started(choice)
        waiting.remove(choice.job)
        if choice.job.lane is Lane.TRAINING:
            at_s += trains_for_s.pop(index, 0.0)
        last_s = at_s + choice.job.cost_s
        order.append((choice.job, last_s))
        heapq.heappush(free, (last_s, index, choice.job.model))
    count = max(1, len(lines))
    for candidate in waiting.by_fair_start(clock):
        last_s += candidate.cost_s / count
        order.append((candidate, last_s))
    return order
