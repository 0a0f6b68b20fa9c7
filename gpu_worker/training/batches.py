"""Which pictures each step sees.

All dice are thrown anew for each epoch and each batch, from the training's seed and their numbers: what happens at a
step depends on nothing that happened before, so a training that is taken up again goes on exactly as it would have.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from gpu_worker.language.training.steps import batches_per_epoch
from gpu_worker.protocol.specs import Train
from gpu_worker.training.pictures import Pictures, TrainedPicture, View

__all__ = ["Batch", "Epochs", "dice", "number_of"]

Batch = tuple[TrainedPicture, ...]
"""Pictures of one data set and one bucket."""


def number_of(seed: int, *places: int | str) -> int:
    """63 bits that follow from them, and look like no others."""
    text = "/".join(map(str, (seed, *places)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def dice(seed: int, *places: int | str) -> random.Random:
    return random.Random(number_of(seed, *places))


@dataclass
class Epochs:
    spec: Train
    pictures: Pictures
    _epoch: int = -1
    _batches: Sequence[Batch] = ()

    @property
    def batches_per_epoch(self) -> int:
        return sum(
            batches_per_epoch(
                [(1, p.repeats, p.fit.bucket) for p in self.pictures.all if p.dataset == place],
                dataset.rules.batch_size,
            )
            for place, dataset in enumerate(self.spec.datasets)
        )

    def batches(self, epoch: int) -> Sequence[Batch]:
        """Of an epoch, which counts from 0: those of all buckets in one shuffled row."""
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffled(dice(self.spec.seed, "epoch", epoch))
        return self._batches

    def views(self, batch: Batch, throw: random.Random) -> list[View]:
        found: list[View] = []
        for picture in batch:
            rules = picture.subset.rules
            flipped = rules.flip_aug and throw.random() < 0.5
            place = (throw.random(), throw.random()) if rules.random_crop else (0.5, 0.5)
            found.append(View(flipped, *place))
        return found

    def _shuffled(self, throw: random.Random) -> list[Batch]:
        rows: list[Batch] = []
        for place, dataset in enumerate(self.spec.datasets):
            buckets: dict[tuple[int, int], list[TrainedPicture]] = {}
            for picture in self.pictures.all:
                if picture.dataset == place:
                    buckets.setdefault(picture.fit.bucket, []).extend([picture] * picture.repeats)
            size = dataset.rules.batch_size
            for _, pictures in sorted(buckets.items()):
                throw.shuffle(pictures)
                rows += [tuple(pictures[start : start + size]) for start in range(0, len(pictures), size)]
        throw.shuffle(rows)
        return rows
