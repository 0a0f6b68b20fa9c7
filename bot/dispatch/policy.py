"""Who is next: lanes, fair shares, model affinity, speed. Pure; the dispatcher feeds it rows and its clock.

Lanes go in strict order, but one start in `BATCH_SHARE` belongs to the batch lane while it has work. Training is last:
it makes way for everything (bot/dispatch/handing.py), so it begins only where nothing else can. Inside a lane the
order is start-time fair queueing (Goyal, Vin, Cheng 1996): each user has a virtual start time that grows by the
estimated GPU seconds of what they start, and the smallest goes first, so fifty users share alike however many jobs one
of them queues. Then affinity: among users within `SLACK_S` of the smallest, the first job in their first `LOOK_AHEAD`
that needs the worker's planned model goes first; a job passed over `MAX_SKIPS` times or since `MAX_WAIT_S` ends that.
Where another worker would finish the job sooner, it is left to that one (bot/dispatch/speed.py).

Admins' moves lie over all this (bot/dispatch/moves.py): an operator's front goes before everything, a server's front
takes a turn that its server got anyway, and what was moved back waits for those who were there at that moment. A
training is moved among trainings alone.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.dispatch.fair import BATCH_SHARE, MAX_SKIPS, MAX_WAIT_S, Candidate, Choice, FairClock
from bot.dispatch.speed import Hand, Hands, Offer, Stop, first_taker, offer
from bot.dispatch.waiting import LOOK_AHEAD, SHORT_LANES, SLACK_S, Waiting
from bot.domain.job import TASK_MODEL, Lane

__all__ = [
    "BATCH_SHARE",
    "LOOK_AHEAD",
    "MAX_SKIPS",
    "MAX_WAIT_S",
    "SHORT_LANES",
    "SLACK_S",
    "Candidate",
    "Choice",
    "FairClock",
    "Hand",
    "Hands",
    "Line",
    "Offer",
    "Stop",
    "Waiting",
    "choose",
    "first_taker",
    "offer",
    "plan",
]

PLANNED_EXACTLY = 100
"""Beyond this many places `plan` leaves affinity out: nobody watches place 101, and planning it all takes seconds."""
NEAR_MAX = 32
"""Of a thousand workers those that are free first are compared there."""


def _draws_all(model: str) -> bool:
    return True


def _same(model: str) -> float:
    return 1.0


def _at_once(model: str) -> float:
    return 0.0


def choose(
    queued: Sequence[Candidate],
    clock: FairClock,
    *,
    planned_model: str | None,
    lanes: Iterable[str] = (),
    draws: Callable[[str], bool] = _draws_all,
) -> Choice | None:
    """The next job for a worker whose last assigned job needs `planned_model`, if there were no other worker.

    `lanes` limits it where not empty; `draws` says which models that worker may be given.
    """
    return Waiting(queued, clock).choose(clock, planned_model, frozenset(lanes), draws)


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
    pace: Callable[[str], float] = _same
    load_s: Callable[[str], float] = _at_once
    fetch_s: Callable[[str], float] = _at_once
    """All three as a `Hand` has them."""

    def draws(self, model: str) -> bool:
        return model not in self.refuses

    def hand(self, index: int, free_in_s: float, planned_model: str | None) -> Hand:
        return Hand(
            str(index), free_in_s, planned_model,
            takes=lambda job: self.draws(job.model) and (not self.lanes or job.lane in self.lanes),
            pace=self.pace, load_s=self.load_s, fetch_s=self.fetch_s,
        )  # fmt: skip


def plan(queued: Sequence[Candidate], clock: FairClock, lines: Sequence[Line]) -> list[tuple[Candidate, float]]:
    """The order in which the queue will start if nothing else comes, with the seconds until each job is ready.

    Whoever is free first takes the next job that nobody else would finish sooner. Without any worker the plan is that
    of one that is free now.
    """
    clock = clock.copy()
    waiting = Waiting(queued, clock)
    order: list[tuple[Candidate, float]] = []
    lines = lines or (Line(),)
    turn = itertools.count(len(lines))
    free = [(line.free_in_s, index, index, line.planned_model) for index, line in enumerate(lines)]
    heapq.heapify(free)
    trains_for_s = {index: line.trains_for_s for index, line in enumerate(lines)}
    last_s, patience = 0.0, 2 * PLANNED_EXACTLY + len(lines)
    while free and len(waiting) and len(order) < PLANNED_EXACTLY and patience:
        patience -= 1
        at_s, _, index, planned = heapq.heappop(free)
        line = lines[index]
        mine = line.hand(index, 0.0, planned)
        others = [lines[i].hand(i, when_s - at_s, model) for when_s, _, i, model in heapq.nsmallest(NEAR_MAX, free)]
        hands = Hands([mine, *others], of=len(lines))
        found = offer(waiting, clock, mine, hands, lanes=frozenset(line.lanes), draws=line.draws)
        choice = found.choice
        if choice is None:
            if found.left and free:  # it waits for the others' next turn; otherwise nothing here is for it
                heapq.heappush(free, (max(at_s, free[0][0]), next(turn), index, planned))
            continue
        clock.started(choice)
        waiting.remove(choice.job)
        if choice.job.lane is Lane.TRAINING:
            at_s += trains_for_s.pop(index, 0.0)
        last_s = at_s + choice.job.cost_s * line.pace(choice.job.model)
        order.append((choice.job, last_s))
        model = planned if choice.job.model.startswith(TASK_MODEL) else choice.job.model
        heapq.heappush(free, (last_s, next(turn), index, model))
    count = max(1, len(lines))
    for candidate in waiting.by_fair_start(clock):
        last_s += candidate.cost_s / count
        order.append((candidate, last_s))
    return order
