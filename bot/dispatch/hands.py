"""The workers as one that asks for a job sees the others: when each is free, and who finishes a job first. Pure.

A thousand are not looked through for each job: those of one kind take a job alike, so of each kind only the one that is
free first matters, and the first that has the model loaded.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from bot.dispatch.fair import Candidate
from bot.domain.ids import JobId
from bot.domain.job import TASK_MODEL

__all__ = ["KINDS_MAX", "MARGIN_S", "Hand", "Hands"]

MARGIN_S = 0.25
"""Estimates are no better; a job is not left for less."""
KINDS_MAX = 64
"""Of more kinds than this only families are told apart: each kind is looked at for each job."""
PASSED_MAX = 4
"""So many of a kind are asked in vain before the whole kind is thought to refuse a job; of a family, the best of them
is taken."""


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
    fetch_s: Callable[[str], float] = _at_once
    """The part of that which is fetching."""
    kind: Hashable = None
    """Those of one kind have the same pace, and about the same `load_s` and `takes`; None: it is like no other."""
    family: Hashable = None
    """Those of one family have the same pace; machines that fetch have each what was asked of them."""

    def finish_s(self, job: Candidate) -> float:
        """From now on, if it is given that next."""
        loaded = job.model == self.planned_model or job.model.startswith(TASK_MODEL)
        return self.free_in_s + (0.0 if loaded else self.load_s(job.model)) + job.cost_s * self.pace(job.model)

    def worth_s(self, job: Candidate) -> float:
        """When it has to be done elsewhere, so that it is left: later than here by what is fetched here, for so long
        this one is lost to whoever comes next."""
        loaded = job.model == self.planned_model or job.model.startswith(TASK_MODEL)
        return self.finish_s(job) + (0.0 if loaded else self.fetch_s(job.model))


Entry = tuple[float, int, str]


@dataclass
class _Kind:
    """Heaps of (when it is free, its turn, its name); those of an earlier turn count no more."""

    free: list[Entry] = field(default_factory=list[Entry])
    by_model: dict[str | None, list[Entry]] = field(default_factory=dict[str | None, list[Entry]])
    paces: dict[str, float] = field(default_factory=dict[str, float])


class Hands:
    """All workers, as of one moment, and what of their time is meant for jobs that were left to them."""

    def __init__(self, hands: Iterable[Hand], *, of: int = 0, throughput: dict[str, float] | None = None) -> None:
        """`of`: how many there are, where these are only the ones that are free first. `throughput`: what was found
        of the same workers before."""
        self._hands: dict[str, Hand] = {}
        self._kinds: dict[Hashable, _Kind] = {}
        self._state: dict[str, tuple[float, str | None, int]] = {}
        """When each is free if it draws what was left to it, with which model then, and the turn of that."""
        self._turn = 0
        self._places: dict[JobId, tuple[str, float]] = {}
        self._left_to: dict[str, list[JobId]] = {}
        hands = tuple(hands)
        self._by_kind = len({hand.kind for hand in hands}) <= KINDS_MAX
        for hand in hands:
            self._hands[hand.name] = hand
            self._stand(hand, hand.free_in_s, hand.planned_model)
        self._first_turn = self._turn
        self._scale = max(1.0, of / max(1, len(self._hands)))
        self._throughput = throughput if throughput is not None else {}

    def __getitem__(self, name: str) -> Hand:
        return self._hands[name]

    def __contains__(self, name: str) -> bool:
        return name in self._hands

    def turn(self, name: str) -> int:
        """The larger, the later it was seen to hold something else than before; 0: not since the first look."""
        return max(0, self._state[name][2] - self._first_turn)

    def throughput(self, model: str) -> float:
        """Of all together, in `cost_s` a second."""
        if model not in self._throughput:
            paces = (1.0 / max(hand.pace(model), 1e-6) for hand in self._hands.values())
            self._throughput[model] = self._scale * sum(paces)
        return self._throughput[model]

    def update(self, hand: Hand) -> None:
        """It is new, or it holds something else than before: what was left to it has no place until it is looked at
        again."""
        for job_id in self._left_to.pop(hand.name, ()):
            self._places.pop(job_id, None)
        self._hands[hand.name] = hand
        self._stand(hand, hand.free_in_s, hand.planned_model)

    def given(self, job: Candidate, hand: Hand) -> None:
        """`hand` holds that job now, too, wherever its place was."""
        place = self._places.pop(job.id, None)
        if place is not None and place[0] != hand.name:
            self.update(self._hands[place[0]])
        self.update(hand)

    def sooner(self, job: Candidate, mine: Hand) -> tuple[str, float] | None:
        """Who else finishes it sooner than it is worth to be given to `mine`, and when. From then on it has its place
        there."""
        than_s = mine.worth_s(job) - MARGIN_S
        place = self._places.get(job.id)
        if place is None:
            place = self._first(job, than_s, mine.name)
            if place is not None:
                self._leave(job, *place)
            return place
        return place if place[0] != mine.name and place[1] < than_s else None

    # --- the index ----------------------------------------------------------------------------------------------------

    def _stand(self, hand: Hand, free_s: float, model: str | None) -> None:
        self._turn += 1
        self._state[hand.name] = (free_s, model, self._turn)
        key = hand.kind if self._by_kind else hand.family
        key = key if key is not None else hand.name
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind()
        entry = (free_s, self._turn, hand.name)
        heapq.heappush(kind.free, entry)
        heapq.heappush(kind.by_model.setdefault(model, []), entry)

    def _leave(self, job: Candidate, name: str, at_s: float) -> None:
        _, model, _ = self._state[name]
        self._stand(self._hands[name], at_s, model if job.model.startswith(TASK_MODEL) else job.model)
        self._places[job.id] = (name, at_s)
        self._left_to.setdefault(name, []).append(job.id)

    def _first(self, job: Candidate, before_s: float, but: str) -> tuple[str, float] | None:
        model = job.model
        task = model.startswith(TASK_MODEL)
        best: str | None = None
        for kind in self._kinds.values():
            heaps = (kind.free,) if task else (kind.by_model.get(model), kind.free)
            for heap in heaps:
                top = self._top(heap) if heap else None
                if top is None or heap is None or top[0] >= before_s:
                    continue
                pace = kind.paces.get(model)
                if pace is None:
                    pace = kind.paces[model] = self._hands[top[2]].pace(model)
                draw_s = job.cost_s * pace
                if top[0] + draw_s >= before_s:
                    continue
                found = self._taker(heap, job, before_s - draw_s, but, loads=not task)
                if found is not None:
                    best, before_s = found[0], found[1] + draw_s
        return (best, before_s) if best is not None else None

    def _top(self, heap: list[Entry]) -> Entry | None:
        """Who is free first; without what is out of date."""
        while heap:
            entry = heap[0]
            if self._state[entry[2]][2] == entry[1]:
                return entry
            heapq.heappop(heap)
        return None

    def _taker(
        self, heap: list[Entry], job: Candidate, before_s: float, but: str, *, loads: bool
    ) -> tuple[str, float] | None:
        """Whoever of one kind can begin to draw it first, before then."""
        passed: list[Entry] = []
        found: tuple[str, float] | None = None
        while len(passed) <= PASSED_MAX and (entry := self._top(heap)) is not None and entry[0] < before_s:
            name = entry[2]
            hand = self._hands[name]
            if name != but and hand.takes(job):
                begins_s = entry[0]
                if loads and self._state[name][1] != job.model:
                    begins_s += hand.load_s(job.model)
                if begins_s < before_s:
                    found, before_s = (name, begins_s), begins_s
                if self._by_kind:
                    break
            passed.append(heapq.heappop(heap))
        for entry in passed:
            heapq.heappush(heap, entry)
        return found
