"""Seeds as numbers: what a written seed means, and which seed each picture of a job has (behaviours §6)."""

from __future__ import annotations

from random import Random
from typing import Any

__all__ = ["RANDOM_SEEDS", "batch_seeds", "fixed_seed"]

RANDOM_SEEDS = 4294967294
"""A1111 draws from 0 to one less than this."""


def fixed_seed(value: Any, rng: Random) -> int:
    """A whole number, also a negative one or one in text, is itself; -1 and anything else is drawn from `rng`."""
    try:
        seed = int(value)
    except (TypeError, ValueError, OverflowError):
        seed = -1
    return rng.randrange(RANDOM_SEEDS) if seed == -1 else seed


def batch_seeds(seed: int, subseed: int, subseed_strength: float, count: int) -> tuple[list[int], list[int]]:
    """Seeds and variation seeds of `count` pictures: with a variation the seed stays and only the other counts up."""
    seeds = [seed if subseed_strength else seed + index for index in range(count)]
    return seeds, [subseed + index for index in range(count)]
