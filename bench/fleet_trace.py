"""Who asks for what, when, in a made-up server, and the cards that draw it. The same seed gives the same trace."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from bot.dispatch.fair import Candidate
from bot.domain.ids import JobId, UserId
from bot.domain.job import TRAIN_MODEL, Lane

__all__ = ["LOAD_S", "Arrival", "Card", "Fleet", "heavy_and_light", "make_cards", "make_trace"]

MODELS = 12
PACES = ((1.0, 0.4), (0.5, 0.25), (2.0, 0.2), (6.0, 0.15))
"""Seconds beside the middle card's, and the share of such cards."""
LOAD_S = 4.0
MEAN_S = 6.0
"""A job on the middle card."""
PLOT_CELLS = (12, 60)
FULL = 0.45
"""Share of the cards' time that drawing takes, on average. Reading checkpoints comes on top."""


@dataclass(frozen=True, slots=True)
class Arrival:
    at_s: float
    job: Candidate
    """Its `cost_s` is what it takes on the middle card."""


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    pace: float
    load_s: float


@dataclass(frozen=True, slots=True)
class Fleet:
    workers: int
    users: int
    hours: float
    seed: int = 1

    @property
    def words(self) -> str:
        return f"{self.workers} workers, {self.users:,} users, {self.hours:g} h"


def make_cards(fleet: Fleet) -> list[Card]:
    chance = random.Random(fleet.seed)
    paces = chance.choices([pace for pace, _ in PACES], [share for _, share in PACES], k=fleet.workers)
    paces[0] = 1.0  # a single one is the middle one
    return [Card(f"w{n}", pace, LOAD_S * math.sqrt(pace)) for n, pace in enumerate(paces)]


def make_trace(fleet: Fleet, cards: Sequence[Card]) -> list[Arrival]:
    """Sessions: somebody comes, has a favourite model, and sends a burst of pictures; one in twenty-five is a plot of
    many cells in the batch lane, one in three hundred a training. Few people ask for most of it, and all models are
    not alike popular (both by Zipf). The second quarter is a rush hour."""
    chance = random.Random(fleet.seed)
    models = [1 / (n + 1) ** 1.3 for n in range(MODELS)]
    people = [1 / (n + 3) ** 0.8 for n in range(fleet.users)]
    favourites = [chance.choices(range(MODELS), models, k=2) for _ in range(fleet.users)]
    length_s = fleet.hours * 3600
    budget_s = FULL * length_s * sum(1 / card.pace for card in cards)
    arrivals: list[Arrival] = []
    count = 0

    def ask(at_s: float, user: int, lane: Lane, model: str, cost_s: float) -> None:
        nonlocal count, budget_s
        arrivals.append(Arrival(at_s, Candidate(JobId(f"j{count}"), UserId(user), lane, model, cost_s)))
        count += 1
        budget_s -= cost_s if lane is not Lane.TRAINING else 0.0

    while budget_s > 0:
        # Half of the rest goes to the rush hour.
        at_s = chance.uniform(0, length_s) if chance.random() < 0.75 else chance.uniform(length_s / 4, length_s / 2)
        user = chance.choices(range(fleet.users), people)[0] if fleet.users < 500 else _by_zipf(chance, fleet.users)
        model = f"m{chance.choice(favourites[user])}"
        kind = chance.random()
        if kind < 1 / 300:
            ask(at_s, user, Lane.TRAINING, TRAIN_MODEL, chance.uniform(600, 1800))
        elif kind < 1 / 25:
            cost_s = _lognormal(chance, MEAN_S / 2)
            for _ in range(chance.randint(*PLOT_CELLS)):
                ask(at_s, user, Lane.BATCH, model, cost_s)
        else:
            for _ in range(min(20, 1 + int(chance.expovariate(1 / 3)))):
                ask(at_s, user, Lane.INTERACTIVE, model, _lognormal(chance, MEAN_S))
                at_s += chance.expovariate(1 / 8)
                if chance.random() < 0.1:
                    model = f"m{chance.choice(favourites[user])}"
    arrivals.sort(key=lambda arrival: arrival.at_s)
    return arrivals


def heavy_and_light(users: int = 50, light: int = 20, heavy: int = 60) -> list[Arrival]:
    """All at once, heavy ones first, every second user light. By fair shares the last light job is the
    `users` x `light`-th to start."""
    jobs = [(user, n) for user in range(0, users, 2) for n in range(heavy)]
    jobs += [(user, n) for user in range(1, users, 2) for n in range(light)]
    return [
        Arrival(0.0, Candidate(JobId(f"j{user}.{n}"), UserId(user), Lane.INTERACTIVE, "m0", 1.0)) for user, n in jobs
    ]


def _lognormal(chance: random.Random, mean: float) -> float:
    return min(120.0, mean * chance.lognormvariate(-0.32, 0.8))


def _by_zipf(chance: random.Random, count: int) -> int:
    """As the weights above, without summing ten thousand of them each time."""
    low, high = 3**0.2, (count + 3) ** 0.2
    return min(count - 1, int(chance.uniform(low, high) ** 5 - 3))
