"""How long a training is: batches of an epoch and steps of all of it (behaviours §24.3)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["GUIDE_IMAGES_MAX", "Length", "batches_per_epoch", "regularisation_repeats", "training_length"]

GUIDE_IMAGES_MAX = 400
"""The guide's rule: pictures times repeats, an epoch."""


@dataclass(frozen=True)
class Length:
    batches_per_epoch: int
    steps_per_epoch: int
    """Fewer than batches where gradients are accumulated: a step is one change of the weights."""
    epochs: int
    """The last may be cut short by `max_train_steps`."""
    total_steps: int


def batches_per_epoch(images: Iterable[tuple[int, int, object]], batch_size: int) -> int:
    """`images`: how many, how often each, and which bucket. A batch holds pictures of one bucket alone."""
    counts: Counter[object] = Counter()
    for count, repeats, bucket in images:
        counts[bucket] += count * repeats
    return sum(math.ceil(count / batch_size) for count in counts.values())


def training_length(batches: int, *, max_train_epochs: int | None, max_train_steps: int, accumulation: int) -> Length:
    """Epochs decide where they are given, else steps. Raises ValueError where there is no batch."""
    if batches < 1:
        raise ValueError("no pictures to train on")
    steps = math.ceil(batches / accumulation)
    if max_train_epochs is not None:
        return Length(batches, steps, max_train_epochs, max_train_epochs * steps)
    return Length(batches, steps, math.ceil(max_train_steps / steps), max_train_steps)


def regularisation_repeats(repeats: Sequence[int], wanted: int) -> list[int]:
    """How often each picture of the class is seen, so that there are as many as pictures of what is learnt (`wanted`):
    further ones are left out, missing ones are repeated once more in turn."""
    counts = [0] * len(repeats)
    seen, first = 0, True
    while seen < wanted and repeats:
        for place, own in enumerate(repeats):
            more = own if first else 1
            counts[place] += more
            seen += more
            if seen >= wanted:
                break
        first = False
    return counts
