"""The schedule with the fewest model switches that a search finds which knows everything that is still to come.

It keeps the rules of fairness that the policy keeps: a job may be chosen where its user is within the slack of the one
who is next, among the first of that user's jobs, and never before a job that was passed over too often or for too long.
Which of those it chooses, and which idle worker draws it, it is free to try: a beam of the best beginnings is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.fleet_trace import Arrival, Card
from bot.dispatch.policy import LOOK_AHEAD, MAX_SKIPS, MAX_WAIT_S, SLACK_S

__all__ = ["fewest_switches"]


@dataclass(frozen=True, slots=True)
class _State:
    switches: int
    workers: tuple[tuple[float, str], ...]
    """When each is free, and its model; the one that is free first is first."""
    come: int
    """So many of the arrivals wait or are done."""
    queues: dict[int, tuple[int, ...]]
    virtual: dict[int, float]
    now_virtual: float
    skips: dict[int, tuple[int, float]]
    """How often, and since when."""


def fewest_switches(cards: Sequence[Card], arrivals: Sequence[Arrival], beam: int) -> int:
    """For cards that are all alike and arrivals in one lane."""
    load_s = cards[0].load_s
    states = [_State(0, tuple((0.0, "") for _ in cards), 0, {}, {}, 0.0, {})]
    for _ in arrivals:
        found: dict[object, tuple[tuple[int, int, float], _State]] = {}
        for state in states:
            for following in _moves(state, arrivals, load_s):
                models = {model for _, model in following.workers}
                heads = [arrivals[its[0]].job.model for its in following.queues.values()]
                rank = (following.switches, sum(model not in models for model in heads), following.workers[-1][0])
                waiting = frozenset((user, its[0], len(its)) for user, its in following.queues.items())
                key = (following.come, frozenset(following.workers), waiting)
                if key not in found or rank < found[key][0]:
                    found[key] = (rank, following)
        states = [state for _, state in sorted(found.values(), key=lambda entry: entry[0])[:beam]]
    return min(state.switches for state in states)


def _moves(state: _State, arrivals: Sequence[Arrival], load_s: float) -> Iterator[_State]:
    now, come, queues = state.workers[0][0], state.come, dict(state.queues)
    if not queues:
        now = max(now, arrivals[come].at_s)
    while come < len(arrivals) and arrivals[come].at_s <= now:
        user = int(arrivals[come].job.user_id)
        queues[user] = (*queues.get(user, ()), come)
        come += 1
    starts = sorted(
        (max(state.virtual.get(user, 0.0), state.now_virtual), its[0], user) for user, its in queues.items()
    )
    idle = {model: place for place, (free_at, model) in enumerate(state.workers) if free_at <= now}
    slack_s = SLACK_S + load_s if "" not in idle else SLACK_S
    first = starts[0][1]

    def overdue(job: int) -> bool:
        count, since = state.skips.get(job, (0, now))
        return count >= MAX_SKIPS or now - since >= MAX_WAIT_S

    seen: set[str] = set()
    for start, _, user in starts:
        if start > starts[0][0] + slack_s or (overdue(first) and user != starts[0][2]):
            break
        for place, job in enumerate(queues[user][: 1 if overdue(first) else LOOK_AHEAD]):
            chosen = arrivals[job].job
            if chosen.model not in seen:
                seen.add(chosen.model)
                passed = {first, *queues[user][:place]} if job != first else set[int]()
                for worker in [idle[chosen.model]] if chosen.model in idle else idle.values():
                    model = state.workers[worker][1]
                    took_s = chosen.cost_s + (load_s if model != chosen.model else 0.0)
                    rest = tuple(other for other in queues[user] if other != job)
                    left = {**queues, user: rest} if rest else {u: its for u, its in queues.items() if u != user}
                    skips = {other: known for other, known in state.skips.items() if other != job}
                    for other in passed:
                        count, since = skips.get(other, (0, now))
                        skips[other] = (count + 1, since)
                    others = [its for n, its in enumerate(state.workers) if n != worker]
                    yield _State(
                        state.switches + (model != chosen.model),
                        tuple(sorted([*others, (now + took_s, chosen.model)])),
                        come, left, {**state.virtual, user: start + chosen.cost_s},
                        max(state.now_virtual, starts[0][0]), skips,
                    )  # fmt: skip
            if overdue(job):
                break
