"""Scheduling, in simulated time: who waits how long, how fair it is, how often checkpoints are read; beside a plain
queue on the same trace, and beside the best schedule that a search finds."""

from __future__ import annotations

import collections
import itertools
import sys
import time
from collections.abc import Iterable, Sequence

from bench.fleet_best import fewest_switches
from bench.fleet_run import Outcome, by_policy, first_come
from bench.fleet_trace import LOAD_S, Arrival, Card, Fleet, heavy_and_light, make_cards, make_trace
from bench.report import Figure, share_at
from bot.domain.job import Lane

__all__ = ["measure"]

USUAL = (Fleet(1, 12, 3), Fleet(8, 120, 1), Fleet(50, 800, 0.25))
LARGE = (*USUAL, Fleet(200, 3_000, 0.1), Fleet(1_000, 10_000, 0.01))
SEARCHED = tuple(Fleet(workers, users, 1, seed) for workers, users in ((1, 12), (3, 40), (5, 60)) for seed in (1, 2, 3))
SEARCHED_JOBS = 300
FAIR_RANK = 1000
"""Of the last light job, where 50 users share alike and every second one asks for 20."""


def measure(*, large: bool) -> list[Figure]:
    figures = _heavy_and_light()
    for fleet in LARGE if large else USUAL:
        print(f"… {fleet.words}", file=sys.stderr, flush=True)
        figures += _beside_a_queue(fleet)
    print("… the best schedules that a search finds", file=sys.stderr, flush=True)
    return figures + _beside_the_best(beam=200 if large else 100)


def _beside_a_queue(fleet: Fleet) -> list[Figure]:
    cards = make_cards(fleet)
    trace = make_trace(fleet, cards)
    count = collections.Counter(arrival.job.lane for arrival in trace)
    started = time.process_time()
    ours = by_policy(cards, trace)
    took_s = time.process_time() - started
    queue = first_come(cards, trace)
    assert len(ours.done_s) == len(queue.done_s) == len(trace)
    asked = f"{count[Lane.INTERACTIVE]:,} pictures, {count[Lane.BATCH]:,} cells, {count[Lane.TRAINING]} trainings"
    topic = f"{fleet.words}: {asked}"
    pictures = [arrival for arrival in trace if arrival.job.lane is Lane.INTERACTIVE]
    cells = [arrival for arrival in trace if arrival.job.lane is Lane.BATCH]
    light = _light(pictures)
    figures: list[Figure] = []

    def beside(name: str, mine: float, theirs: float, unit: str = "s") -> None:
        figures.append(Figure(topic, f"{name}, first come", theirs, unit))
        figures.append(Figure(topic, f"{name}, policy", mine, unit))
        figures.append(Figure(topic, f"{name}, policy ÷ first come", mine / theirs if theirs else float("nan")))

    for percent in (50, 95, 99):
        mine, theirs = (share_at(_waits(outcome, pictures), percent / 100) for outcome in (ours, queue))
        beside(f"wait of a picture, p{percent}", mine, theirs)
    mine, theirs = (share_at(_ends(outcome, pictures), 0.95) for outcome in (ours, queue))
    beside("until a picture is done, p95", mine, theirs)
    mine, theirs = (share_at(_ends(outcome, light), 0.95) for outcome in (ours, queue))
    beside("the same of those who ask for little, p95", mine, theirs)
    mine, theirs = (share_at(_ends(outcome, cells), 0.95) for outcome in (ours, queue))
    beside("until a cell of a plot is done, p95", mine, theirs)
    beside("checkpoints read", ours.switches, queue.switches, "")
    figures.append(Figure(topic, "the policy's processor time for a job", took_s / len(trace) * 1000, "ms"))
    return figures


def _waits(outcome: Outcome, arrivals: Iterable[Arrival]) -> list[float]:
    return [outcome.begun_s[arrival.job.id] - arrival.at_s for arrival in arrivals]


def _ends(outcome: Outcome, arrivals: Iterable[Arrival]) -> list[float]:
    return [outcome.done_s[arrival.job.id] - arrival.at_s for arrival in arrivals]


def _light(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Of the half of the users that asked for least."""
    asked = collections.Counter(arrival.job.user_id for arrival in arrivals)
    few = {user for user, _ in asked.most_common()[len(asked) // 2 :]}
    return [arrival for arrival in arrivals if arrival.job.user_id in few]


def _heavy_and_light() -> list[Figure]:
    trace = heavy_and_light()
    cards = [Card(f"w{n}", 1.0, LOAD_S) for n in range(3)]
    topic = f"{len(trace):,} jobs of 50 users at once, half of them light"
    figures: list[Figure] = []
    for name, outcome in (("first come", first_come(cards, trace)), ("policy", by_policy(cards, trace))):
        rank = max(place for place, job in enumerate(outcome.order, 1) if int(job.user_id) % 2)
        used = collections.Counter(job.user_id for job in outcome.order[:500])
        jain = sum(used.values()) ** 2 / (50 * sum(share**2 for share in used.values()))
        goal = {"goal": FAIR_RANK * 1.01, "sense": "<="} if name == "policy" else {}
        figures.append(Figure(topic, f"rank of the last light job, {name} (fair: {FAIR_RANK})", rank, **goal))
        figures.append(Figure(topic, f"Jain index of the first 500, {name}", jain))
    return figures


def _beside_the_best(beam: int) -> list[Figure]:
    topic = f"Checkpoints read, policy ÷ best schedule found (beam {beam}), {SEARCHED_JOBS} pictures, cards alike"
    figures: list[Figure] = []
    for workers, traces in itertools.groupby(SEARCHED, lambda fleet: fleet.workers):
        mine = best = theirs = 0
        for fleet in traces:
            cards = [Card(f"w{n}", 1.0, LOAD_S) for n in range(workers)]
            asked = [arrival for arrival in make_trace(fleet, cards) if arrival.job.lane is Lane.INTERACTIVE]
            trace = asked[:SEARCHED_JOBS]
            switches = by_policy(cards, trace).switches
            mine, theirs = mine + switches, theirs + first_come(cards, trace).switches
            best += min(switches, fewest_switches(cards, trace, beam))
        words = f"{workers} workers, three traces" if workers > 1 else "1 worker, three traces"
        figures.append(Figure(topic, f"{words}: policy ÷ best", mine / best, goal=1.2, sense="<="))
        figures.append(Figure(topic, f"{words}: policy ÷ first come", mine / theirs))
    return figures
