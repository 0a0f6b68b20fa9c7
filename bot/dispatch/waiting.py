"""The waiting jobs by lane and user, and who of them is next. Pure.

A choice costs some steps of a heap, not one per user: ten thousand people may wait for a thousand workers.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import replace

from bot.dispatch.fair import BATCH_SHARE, Candidate, Choice, FairClock
from bot.dispatch.moves import held_back, operator_front, server_front
from bot.domain.ids import JobId, UserId
from bot.domain.job import Lane

__all__ = ["LOOK_AHEAD", "SHORT_LANES", "SLACK_S", "Waiting"]

SHORT_LANES = (Lane.INTERACTIVE, Lane.BATCH)
"""What a training makes way for."""

LOOK_AHEAD = 8
SLACK_S = 2.0
USERS_MAX = 256
"""Affinity asks no more of those who are level: where thousands are, one of the first has the model, or it is rare."""

Entry = tuple[float, int, UserId]


class Waiting:
    """It keeps the order by the clock it is asked with, which must not be turned back meanwhile: who is given a refund
    may go a little late, until the next `Waiting` is made."""

    def __init__(self, queued: Iterable[Candidate], clock: FairClock) -> None:
        """`queued`: oldest first."""
        self._lanes: dict[Lane, dict[UserId, list[Candidate]]] = {}
        self._order: dict[Lane, list[Entry]] = {}
        """Heaps of one entry a user: never later than where they really stand."""
        self._left_over: set[tuple[Lane, UserId]] = set()
        """Whose entry is there, and no job of theirs."""
        self._arrival: dict[JobId, int] = {}
        self._jobs: dict[JobId, Candidate] = {}
        self._moved: dict[JobId, Candidate] = {}
        """The few that an admin moved."""
        self._models: Counter[tuple[Lane, str]] = Counter()
        self._count = itertools.count()
        self.cost_s = 0.0
        """Of all that wait, but for trainings."""
        for candidate in queued:
            self._take_in(candidate)
        for lane, users in self._lanes.items():
            self._order[lane] = [
                (clock.start_of(lane, user), self._arrival[jobs[0].id], user) for user, jobs in users.items()
            ]
            heapq.heapify(self._order[lane])

    def __len__(self) -> int:
        return len(self._arrival)

    def __contains__(self, job_id: JobId) -> bool:
        return job_id in self._arrival

    @property
    def lanes(self) -> Collection[Lane]:
        """In which somebody waits."""
        return self._lanes.keys()

    def add(self, candidate: Candidate, clock: FairClock) -> None:
        """The youngest."""
        key = (candidate.lane, candidate.user_id)
        if self._take_in(candidate) and key not in self._left_over:
            entry = (clock.start_of(candidate.lane, candidate.user_id), self._arrival[candidate.id], candidate.user_id)
            heapq.heappush(self._order.setdefault(candidate.lane, []), entry)
        self._left_over.discard(key)

    def _take_in(self, candidate: Candidate) -> bool:
        """Whether its user is new in that lane."""
        users = self._lanes.setdefault(candidate.lane, {})
        is_new = candidate.user_id not in users
        users.setdefault(candidate.user_id, []).append(candidate)
        self._arrival[candidate.id] = next(self._count)
        self._jobs[candidate.id] = candidate
        self._models[candidate.lane, candidate.model] += 1
        if candidate.lane is not Lane.TRAINING:
            self.cost_s += candidate.cost_s
        if candidate.moved is not None:
            self._moved[candidate.id] = candidate
        return is_new

    def remove(self, candidate: Candidate) -> None:
        lane, user = candidate.lane, candidate.user_id
        jobs = self._lanes[lane][user]
        del jobs[next(index for index, job in enumerate(jobs) if job.id == candidate.id)]
        if not jobs:
            del self._lanes[lane][user]
            self._left_over.add((lane, user))
        if not self._lanes[lane]:
            del self._lanes[lane]
        del self._arrival[candidate.id], self._jobs[candidate.id]
        self._models[lane, candidate.model] -= 1
        self._moved.pop(candidate.id, None)
        if lane is not Lane.TRAINING:
            self.cost_s = max(0.0, self.cost_s - candidate.cost_s)

    def skip(self, job_ids: Iterable[JobId]) -> None:
        """Counts once more that affinity let a later one go before them."""
        for job_id in job_ids:
            known = self._jobs.get(job_id)
            if known is not None:
                self._replace(replace(known, skipped=known.skipped + 1))

    def age(self, job_id: JobId, *, passed_over_s: float | None = None, left_s: float | None = None) -> None:
        """What is known of it by now; None: no change."""
        known = self._jobs.get(job_id)
        if known is not None:
            passed_s = known.passed_over_s if passed_over_s is None else passed_over_s
            self._replace(replace(known, passed_over_s=passed_s, left_s=known.left_s if left_s is None else left_s))

    def _replace(self, job: Candidate) -> None:
        jobs = self._lanes[job.lane][job.user_id]
        jobs[next(index for index, old in enumerate(jobs) if old.id == job.id)] = self._jobs[job.id] = job
        if job.id in self._moved:
            self._moved[job.id] = job

    def choose(
        self,
        clock: FairClock,
        planned_model: str | None,
        lanes: frozenset[str],
        draws: Callable[[str], bool],
        takes: Callable[[Candidate], bool] | None = None,
        *,
        slack_s: float = SLACK_S,
        supposed: bool = False,
    ) -> Choice | None:
        """The next one for a worker whose last assigned job needs `planned_model`.

        `takes` says what it may be given at all; users are level within `slack_s`. `supposed`: by a clock that runs
        ahead of the real one, of which nothing is to be kept.
        """
        front = self._front(SHORT_LANES, clock, lanes, draws, takes)
        if front is not None:
            return front
        for lane in self._lane_order(clock, lanes):
            choice = self._front((lane,), clock, lanes, draws, takes) if lane is Lane.TRAINING else None
            if choice is not None:
                return choice
            choice = self._choose_in(lane, clock, planned_model, draws, takes, slack_s=slack_s, supposed=supposed)
            if choice is not None:
                moved = self._takeable(takes) if self._moved else ()
                swapped = server_front(moved, choice.job, draws) if moved else None
                return choice if swapped is None else Choice(swapped, choice.virtual_s, payer=choice.job.user_id)
        return None

    def _takeable(self, takes: Callable[[Candidate], bool] | None) -> list[Candidate]:
        return [job for job in self._moved.values() if takes is None or takes(job)]

    def _front(
        self,
        among: Collection[Lane],
        clock: FairClock,
        lanes: frozenset[str],
        draws: Callable[[str], bool],
        takes: Callable[[Candidate], bool] | None,
    ) -> Choice | None:
        """What an operator moved before everything in these lanes."""
        if not self._moved:
            return None
        front = operator_front([job for job in self._takeable(takes) if job.lane in among], lanes, draws)
        if front is None:
            return None
        return Choice(front, min(clock.start_of(front.lane, user) for user in self._lanes[front.lane]))

    def _lane_order(self, clock: FairClock, lanes: frozenset[str]) -> list[Lane]:
        short = reversed(SHORT_LANES) if clock.is_batch_due else SHORT_LANES
        return [lane for lane in (*short, Lane.TRAINING) if lane in self._lanes and (not lanes or lane in lanes)]

    def _choose_in(
        self,
        lane: Lane,
        clock: FairClock,
        planned_model: str | None,
        draws: Callable[[str], bool],
        takes: Callable[[Candidate], bool] | None,
        *,
        slack_s: float,
        supposed: bool,
    ) -> Choice | None:
        def may_go(job: Candidate) -> bool:
            return (
                draws(job.model)
                and (takes is None or takes(job))
                and not (job.moved is not None and held_back(job, self._lane(lane), draws))
            )

        heads = self._heads(lane, clock, may_go, supposed=supposed)
        try:
            found = next(heads, None)
            if found is None:
                return None
            virtual_s, first = found  # equal times: the older job
            if (
                planned_model is None
                or first.model == planned_model
                or first.overdue
                or not self._models[lane, planned_model]
                or not draws(planned_model)
            ):
                return Choice(first, virtual_s)
            level = itertools.takewhile(lambda entry: entry[0] <= virtual_s + slack_s, heads)
            for _, head in itertools.islice(itertools.chain((found,), level), USERS_MAX):
                jobs = list(itertools.islice(filter(may_go, self._lanes[lane][head.user_id]), LOOK_AHEAD))
                for index, candidate in enumerate(jobs):
                    if candidate.model == planned_model:
                        passed = dict.fromkeys((first.id, *(job.id for job in jobs[:index])))
                        return Choice(candidate, virtual_s, tuple(passed))
                    if candidate.overdue:
                        break
            return Choice(first, virtual_s)
        finally:
            heads.close()

    def _heads(
        self, lane: Lane, clock: FairClock, may_go: Callable[[Candidate], bool], *, supposed: bool
    ) -> Generator[tuple[float, Candidate]]:
        """Each user's first that may go, by when they start."""
        users = self._lanes[lane]
        order = list(self._order[lane]) if supposed else self._order[lane]
        seen: list[Entry] = []
        ready: list[tuple[float, int, Candidate]] = []
        try:
            while order or ready:
                while order and (not ready or order[0][:2] <= ready[0][:2]):
                    entry = heapq.heappop(order)
                    jobs = users.get(entry[2])
                    if not jobs:  # all of theirs have started
                        if not supposed:
                            self._left_over.discard((lane, entry[2]))
                        continue
                    really = (clock.start_of(lane, entry[2]), self._arrival[jobs[0].id], entry[2])
                    if really > entry and order and really > order[0]:
                        heapq.heappush(order, really)
                        continue
                    seen.append(really)
                    head = next(filter(may_go, jobs), None)
                    if head is not None:
                        heapq.heappush(ready, (really[0], self._arrival[head.id], head))
                if ready:
                    start, _, head = heapq.heappop(ready)
                    yield start, head
        finally:
            for entry in seen:
                heapq.heappush(order, entry)

    def in_turn(
        self,
        clock: FairClock,
        lanes: frozenset[str],
        draws: Callable[[str], bool],
        takes: Callable[[Candidate], bool] | None = None,
    ) -> Iterator[Candidate]:
        """All that may go, as they would if nothing else came, each user after their turn; without affinity and what an
        admin moved to the front. It ends where the queue is changed meanwhile."""
        pending = {lane: self._in_turn(lane, clock, draws, takes) for lane in (*SHORT_LANES, Lane.TRAINING)}
        since_batch = clock.since_batch
        allowed = [lane for lane in pending if lane in self._lanes and (not lanes or lane in lanes)]
        while allowed:
            due = Lane.BATCH in allowed and since_batch >= BATCH_SHARE - 1
            lane = Lane.BATCH if due else allowed[0]
            job = next(pending[lane], None)
            if job is None:
                allowed.remove(lane)
                continue
            since_batch = 0 if lane is Lane.BATCH else since_batch + 1
            yield job

    def _in_turn(
        self, lane: Lane, clock: FairClock, draws: Callable[[str], bool], takes: Callable[[Candidate], bool] | None
    ) -> Iterator[Candidate]:
        users, arrival = self._lanes[lane], self._arrival
        order = list(self._order[lane])
        begun = dict[UserId, tuple[float, int]]()
        while order:
            entry = heapq.heappop(order)
            user = entry[2]
            jobs = users.get(user)
            if not jobs:
                continue
            if user not in begun:
                start = clock.start_of(lane, user)
                begun[user] = (start, 0)
                really = (start, arrival[jobs[0].id], user)
                if really > entry and order and really > order[0]:
                    heapq.heappush(order, really)
                    continue
            start, place = begun[user]
            while place < len(jobs):
                job = jobs[place]
                place += 1
                if (
                    draws(job.model)
                    and (takes is None or takes(job))
                    and not (job.moved is not None and held_back(job, self._lane(lane), draws))
                ):
                    start += job.cost_s
                    yield job
                    break
            if place < len(jobs):
                begun[user] = (start, place)
                heapq.heappush(order, (start, arrival[jobs[place].id], user))

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
