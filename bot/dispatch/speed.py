"""Which of several workers a job is for: whoever would finish it first. Pure.

Workers ask for jobs one at a time (bot/dispatch/waiting.py says who is next). Where another would finish that job
sooner, although it must end something first, the job is left to it, and so much of its time counts as taken when the
next one is looked at. So a slow card gets the small jobs, a checkpoint is not read again where it is in memory next
door, and what a worker would have to fetch goes to whoever has it on disk. Among few jobs a slow worker rather waits;
where so many wait that the others could not be done with them any sooner, it takes the one that loses least.

Nothing is left for ever: a job that was first left as long ago as it would take here, or `MAX_WAIT_S` ago, is taken. So
a wrong guess, or others that went before it, cost a job at most as much again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bot.dispatch.fair import MAX_WAIT_S, Candidate, Choice, FairClock
from bot.dispatch.waiting import SLACK_S, Waiting
from bot.domain.ids import JobId
from bot.domain.job import TASK_MODEL, Lane

__all__ = ["LEAVES_MAX", "MARGIN_S", "NEAR_MAX", "Hand", "Hands", "Offer", "first_taker", "offer"]

LEAVES_MAX = 8
"""So many jobs are looked at for one worker."""
LEAVERS_MAX = 4
MARGIN_S = 0.25
"""Estimates are no better; a job is not left for less."""
NEAR_MAX, LOADED_MAX = 64, 16
"""Of a thousand workers those that are free first are asked, and of those that have the model loaded."""


def _same(_: str) -> float:
    return 1.0


def _at_once(_: str) -> float:
    return 0.0


def _any(_: Candidate) -> bool:
    return True


@dataclass(frozen=True)
class Hand:
    """A worker as the others see it."""

    name: str
    free_in_s: float = 0.0
    """Until what it holds is done; 0 for one that only trains, which makes way."""
    planned_model: str | None = None
    takes: Callable[[Candidate], bool] = _any
    """Whether it may be given that job, now or once it is free."""
    pace: Callable[[str], float] = _same
    """How many times a job's `cost_s` it takes with that model."""
    load_s: Callable[[str], float] = _at_once
    """Until a checkpoint that is not loaded is: reading it from disk, or fetching it first."""

    def finish_s(self, job: Candidate) -> float:
        """From now on, if it is given that next."""
        loaded = job.model == self.planned_model or job.model.startswith(TASK_MODEL)
        return self.free_in_s + (0.0 if loaded else self.load_s(job.model)) + job.cost_s * self.pace(job.model)


class Hands:
    """All workers, as of one moment."""

    def __init__(self, hands: Iterable[Hand], *, of: int = 0, throughput: dict[str, float] | None = None) -> None:
        """`of`: how many there are, where these are only the ones that are free first. `throughput`: what was found
        of the same workers before."""
        self._by_free = sorted(hands, key=lambda hand: hand.free_in_s)
        self._scale = max(1.0, of / max(1, len(self._by_free)))
        self._throughput = throughput if throughput is not None else {}

    @cached_property
    def _by_model(self) -> dict[str | None, list[Hand]]:
        found: dict[str | None, list[Hand]] = {}
        for hand in self._by_free:
            found.setdefault(hand.planned_model, []).append(hand)
        return found

    def near(self, model: str) -> Iterable[Sequence[Hand]]:
        """Both sorted by when they are free."""
        yield self._by_free[:NEAR_MAX]
        if len(self._by_free) > NEAR_MAX:
            yield self._by_model.get(model, [])[:LOADED_MAX]

    def throughput(self, model: str) -> float:
        """Of all together, in `cost_s` a second."""
        if model not in self._throughput:
            paces = (1.0 / max(hand.pace(model), 1e-6) for hand in self._by_free)
            self._throughput[model] = self._scale * sum(paces)
        return self._throughput[model]


@dataclass(frozen=True, slots=True)
class Offer:
    choice: Choice | None
    """None: nothing is for this worker now."""
    left: tuple[JobId, ...] = ()
    """What would have been its turn and is for a worker that finishes it sooner."""
    to: tuple[str, ...] = ()
    """Who finishes those sooner."""


class _Taken:
    """What was left to others while one worker was asked for."""

    def __init__(self, hands: Hands, mine: Hand) -> None:
        self._hands = hands
        self._mine = mine
        self._later: dict[str, tuple[float, str | None]] = {}
        """When they are free then, and with which model."""

    def leave(self, job: Candidate) -> tuple[float, str] | None:
        """How much sooner whoever finishes it first does so, and who; None where nobody does."""
        here_s = self._mine.finish_s(job)
        best, best_s = None, here_s - MARGIN_S
        if best_s <= 0:
            return None
        model, task = job.model, job.model.startswith(TASK_MODEL)
        for hands in self._hands.near(model):
            for hand in hands:
                if hand.free_in_s >= best_s:
                    break
                free_s, planned = self._later.get(hand.name) or (hand.free_in_s, hand.planned_model)
                at_s = free_s + job.cost_s * hand.pace(model)
                if at_s < best_s and not task and planned != model:
                    at_s += hand.load_s(model)
                if at_s < best_s and hand.name != self._mine.name and hand.takes(job):
                    best, best_s = hand, at_s
        if best is None:
            return None
        _, before = self._later.get(best.name) or (0.0, best.planned_model)
        self._later[best.name] = (best_s, before if task else model)
        return here_s - best_s, best.name


def offer(
    waiting: Waiting,
    clock: FairClock,
    mine: Hand,
    hands: Hands,
    *,
    lanes: frozenset[str] = frozenset(),
    draws: Callable[[str], bool],
    takes: Callable[[Candidate], bool] | None = None,
) -> Offer:
    """What `mine`, one of `hands`, is given now. Nothing is started by that."""
    # Reading another checkpoint keeps everybody waiting for that long: users within it are level.
    slack_s = SLACK_S + mine.load_s(mine.planned_model) if mine.planned_model is not None else SLACK_S
    first = waiting.choose(clock, mine.planned_model, lanes, draws, takes, slack_s=slack_s)
    taken = _Taken(hands, mine)
    choice, left, least, to = first, dict[JobId, None](), None, dict[str, None]()
    ahead = clock
    while choice is not None and first is not None:
        job = choice.job
        waited = job.left_s >= min(MAX_WAIT_S, mine.finish_s(job))
        sooner = None if job.lane is Lane.TRAINING or job.overdue or waited else taken.leave(job)
        choice = replace(choice, virtual_s=first.virtual_s) if choice is not first else choice
        if sooner is None:
            return Offer(choice, tuple(left), tuple(to))
        if least is None or sooner[0] < least[0]:
            least = (sooner[0], choice)
        to[sooner[1]] = None
        left[job.id] = None
        if len(left) >= LEAVES_MAX:
            break
        ahead = clock.copy() if ahead is clock else ahead
        ahead.started(choice)
        choice = waiting.choose(
            ahead, mine.planned_model, lanes, draws,
            lambda job: job.id not in left and (takes is None or takes(job)),
            slack_s=slack_s, supposed=True,
        )  # fmt: skip
    if least is not None and waiting.cost_s / hands.throughput(least[1].job.model) > mine.finish_s(least[1].job):
        choice = least[1]
        return Offer(choice, tuple(job_id for job_id in left if job_id != choice.job.id), tuple(to))
    return Offer(None, tuple(left), tuple(to))


def first_taker(
    ready: Sequence[str], ask: Callable[[str], Offer], alike: Callable[[str], Hashable] = lambda _: None
) -> tuple[str, Choice] | None:
    """Asks these workers in that order, but whoever a job was left to before the others.

    Where `LEAVERS_MAX` that may be given the same jobs (`alike`) have left all they looked at, no more of those are
    asked: whoever it is for was named. So of a thousand idle slow cards a few are asked, not all each time.
    """
    names, asked, following = iter(ready), set[str](), deque[str]()
    leavers, named = Counter[Hashable](), set[str]()
    while (name := following.popleft() if following else next(names, None)) is not None:
        if name in asked or (leavers[alike(name)] >= LEAVERS_MAX and name not in named):
            continue
        asked.add(name)
        found = ask(name)
        if found.choice is not None:
            return name, found.choice
        if found.left:
            leavers[alike(name)] += 1
        following.extend(found.to)
        named.update(found.to)
    return None
