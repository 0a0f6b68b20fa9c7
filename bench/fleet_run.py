"""A fleet in simulated time, driven by the dispatcher's own policy, or first come, first served.

What the policy decides (bot/dispatch/policy.py) is not modelled but asked for; what is modelled is what workers do with
it: a job drawn and the next one held, a checkpoint read where another was loaded, a training that makes way and goes on
later.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.fleet_trace import Arrival, Card
from bot.dispatch.policy import Candidate, Choice, FairClock, Hand, Hands, Offer, Stop, Waiting, first_taker, offer
from bot.domain.ids import JobId
from bot.domain.job import Lane

__all__ = ["Outcome", "by_policy", "first_come"]

HELD_MAX = 2
"""What it draws, and one for later."""
FRESH_S = 0.25
"""How old what is known of the workers may be where there are many, as in the dispatcher with a long queue."""
LOOK_AGAIN_S = 1.0


@dataclass
class Outcome:
    begun_s: dict[JobId, float] = field(default_factory=dict[JobId, float])
    done_s: dict[JobId, float] = field(default_factory=dict[JobId, float])
    order: list[Candidate] = field(default_factory=list[Candidate])
    """As they were handed out."""
    switches: int = 0
    """Checkpoints that were read."""


@dataclass
class _Worker:
    card: Card
    loaded: str | None = None
    planned: str | None = None
    held: deque[Candidate] = field(default_factory=deque[Candidate])
    free_at: float = 0.0
    """When all it holds is done."""
    training: Candidate | None = None
    trained_to: float = 0.0
    """When it went on with that last."""
    left_s: float = 0.0
    """Of it."""
    turn: int = 0


class _Fleet:
    def __init__(self, cards: Sequence[Card], arrivals: Sequence[Arrival]) -> None:
        self.workers = {card.name: _Worker(card) for card in cards}
        self.outcome = Outcome()
        self.now = 0.0
        self._tie = itertools.count()
        self._events: list[tuple[float, int, str, object]] = [
            (arrival.at_s, next(self._tie), "", arrival.job) for arrival in arrivals
        ]
        heapq.heapify(self._events)
        self._to_come = len(self._events)

    def run(self) -> Outcome:
        while self._events and (self._to_come or any(w.held or w.training for w in self.workers.values())):
            self.now, _, name, what = heapq.heappop(self._events)
            if isinstance(what, Candidate):
                self.arrived(what)
                self._to_come -= 1
            elif name:
                worker = self.workers[name]
                if what != worker.turn:
                    continue  # it was given something else meanwhile
                self._ended(worker)
            self.hand_out()
        return self.outcome

    def arrived(self, job: Candidate) -> None:
        raise NotImplementedError

    def hand_out(self) -> None:
        raise NotImplementedError

    def look_again(self) -> None:
        heapq.heappush(self._events, (self.now + LOOK_AGAIN_S, next(self._tie), "", None))

    def give(self, worker: _Worker, job: Candidate) -> None:
        self.outcome.order.append(job)
        if job.lane is Lane.TRAINING:
            worker.training, worker.left_s, worker.planned = job, job.cost_s * worker.card.pace, None
            self._train(worker)
            return
        if worker.training is not None and not worker.held:
            worker.left_s -= self.now - worker.trained_to
        worker.held.append(job)
        load_s = worker.card.load_s if worker.planned != job.model else 0.0
        worker.planned = job.model
        worker.free_at = max(self.now, worker.free_at) + load_s + job.cost_s * worker.card.pace
        if len(worker.held) == 1:
            self._begin(worker)

    def _begin(self, worker: _Worker) -> None:
        job = worker.held[0]
        load_s = 0.0
        if worker.loaded != job.model:
            load_s, worker.loaded = worker.card.load_s, job.model
            self.outcome.switches += 1
        self.outcome.begun_s[job.id] = self.now
        self._wake(worker, load_s + job.cost_s * worker.card.pace)

    def _train(self, worker: _Worker) -> None:
        worker.loaded, worker.trained_to = None, self.now
        self._wake(worker, max(0.0, worker.left_s))

    def _wake(self, worker: _Worker, in_s: float) -> None:
        worker.turn += 1
        heapq.heappush(self._events, (self.now + in_s, next(self._tie), worker.card.name, worker.turn))

    def _ended(self, worker: _Worker) -> None:
        if not worker.held:
            assert worker.training is not None
            self.outcome.done_s[worker.training.id] = self.now
            worker.training = None
            return
        self.outcome.done_s[worker.held.popleft().id] = self.now
        if worker.held:
            self._begin(worker)
        elif worker.training is not None:
            worker.planned = None
            self._train(worker)


class _ByPolicy(_Fleet):
    def __init__(self, cards: Sequence[Card], arrivals: Sequence[Arrival]) -> None:
        super().__init__(cards, arrivals)
        self._clock = FairClock()
        self._waiting = Waiting([], self._clock)
        self._left_at: dict[JobId, float] = {}
        self._passed_at: dict[JobId, float] = {}
        self._hands = Hands(())
        self._hands_at = -1.0
        self._throughput: dict[str, float] = {}
        self._looks_again = False
        self._looks_at = 0.0

    def arrived(self, job: Candidate) -> None:
        self._waiting.add(job, self._clock)

    def hand_out(self) -> None:
        self._looks_again = False
        self._know_hands()
        while len(self._waiting):
            ready = [worker for worker in self.workers.values() if self._room(worker) > 0]
            ready.sort(key=lambda w: (len(w.held), w.training is not None, -self._hands.turn(w.card.name)))
            taken = first_taker(
                [worker.card.name for worker in ready],
                self._ask,
                lambda name: bool(self.workers[name].held),
                lambda name, job: job.lane in self._lanes(self.workers[name]),
            )
            if taken is None:
                break
            name, choice = taken
            self._start(self.workers[name], choice)
        if self._looks_again and self.now >= self._looks_at:
            self._looks_at = self.now + LOOK_AGAIN_S
            self.look_again()
            self._left_at = {job_id: at_s for job_id, at_s in self._left_at.items() if job_id in self._waiting}
            for job_id, at_s in self._left_at.items():
                self._waiting.age(job_id, left_s=self.now - at_s)

    def _ask(self, name: str, stop: Stop) -> Offer:
        worker = self.workers[name]
        lanes = self._lanes(worker)
        if not lanes:
            return Offer(None)
        found = offer(
            self._waiting, self._clock, self._hands[name], self._hands, lanes=lanes, draws=lambda _: True, stop=stop
        )
        for job_id in found.left:
            self._left_at.setdefault(job_id, self.now)
        self._looks_again = self._looks_again or (bool(found.left) and not worker.held)
        return found

    def _lanes(self, worker: _Worker) -> frozenset[Lane]:
        """As bot/dispatch/handing.py has it."""
        lanes = set(self._waiting.lanes)
        if worker.held and not self._clock.is_batch_due:
            lanes.discard(Lane.BATCH)
        if worker.held or worker.training is not None:
            lanes.discard(Lane.TRAINING)
        return frozenset(lanes)

    def _room(self, worker: _Worker) -> int:
        return (1 if worker.training is not None else HELD_MAX) - len(worker.held)

    def _start(self, worker: _Worker, choice: Choice) -> None:
        self._clock.started(choice)
        self._waiting.remove(choice.job)
        self._waiting.skip(choice.passed_over)
        for job_id in choice.passed_over:
            passed_s = self.now - self._passed_at.setdefault(job_id, self.now)
            self._waiting.age(job_id, passed_over_s=passed_s)
        self.give(worker, choice.job)
        self._hands.given(choice.job, self._hand(worker))

    def _know_hands(self) -> None:
        if self.now - self._hands_at >= FRESH_S or len(self.workers) <= 100:
            self._hands = Hands(map(self._hand, self.workers.values()), throughput=self._throughput)
            self._hands_at = self.now

    def _ended(self, worker: _Worker) -> None:
        super()._ended(worker)
        self._hands.update(self._hand(worker))

    def _hand(self, worker: _Worker) -> Hand:
        card = worker.card
        free_s = max(0.0, worker.free_at - self.now) if worker.held else 0.0
        return Hand(
            card.name, free_s, worker.planned, pace=lambda _: card.pace, load_s=lambda _: card.load_s,
            kind=card.pace,
        )  # fmt: skip


class _FirstCome(_Fleet):
    """What a plain queue does: the oldest job to whoever is free, trainings when nothing else waits."""

    def __init__(self, cards: Sequence[Card], arrivals: Sequence[Arrival]) -> None:
        super().__init__(cards, arrivals)
        self._short: deque[Candidate] = deque()
        self._trainings: deque[Candidate] = deque()

    def arrived(self, job: Candidate) -> None:
        (self._trainings if job.lane is Lane.TRAINING else self._short).append(job)

    def hand_out(self) -> None:
        idle = deque(sorted((w for w in self.workers.values() if not w.held), key=lambda w: w.training is not None))
        while idle and self._short:
            self.give(idle.popleft(), self._short.popleft())
        while idle and self._trainings and idle[0].training is None:
            self.give(idle.popleft(), self._trainings.popleft())


def by_policy(cards: Sequence[Card], arrivals: Sequence[Arrival]) -> Outcome:
    return _ByPolicy(cards, arrivals).run()


def first_come(cards: Sequence[Card], arrivals: Sequence[Arrival]) -> Outcome:
    """Its cards are used as its queue has them: any job on any card."""
    return _FirstCome(cards, arrivals).run()
