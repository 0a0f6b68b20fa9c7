"""The files of a training: one an epoch or every so many steps, the last under its own name, old ones removed."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.language.training.metadata import DatasetFacts, FolderFacts, RunFacts, training_metadata
from gpu_worker.language.training.outputs import (
    SUFFIX,
    epoch_name,
    epoch_to_remove,
    final_name,
    saves_epoch,
    step_name,
    step_to_remove,
)
from gpu_worker.language.training.steps import Length
from gpu_worker.protocol.specs import Train, TrainDataset
from gpu_worker.training.files import PRECISIONS, write_network
from gpu_worker.training.hooks import SavedFile
from gpu_worker.training.network import TrainedNetwork
from gpu_worker.training.pictures import Pictures
from gpu_worker.training.refusals import refusal

__all__ = ["Base", "Saver"]


@dataclass(frozen=True)
class Base:
    """What the file says of the checkpoint below it, and of the VAE where that is a file of its own."""

    sha256: str | None = None
    old_hash: str | None = None
    """A1111's before sha256: 8 digits (gpu_worker/engine/checkpoints/hashes.py)."""
    vae: str | None = None
    vae_sha256: str | None = None
    vae_old_hash: str | None = None


@dataclass(eq=False)
class Saver:
    spec: Train
    checkpoint: Checkpoint
    base: Base
    pictures: Pictures
    length: Length
    network: TrainedNetwork
    folder: Path
    session: dict[str, Any]

    def after(self, step: int, loss: float | None = None) -> list[SavedFile]:
        """What is to be saved after the step, the last one apart. Raises EngineError `disk_full`."""
        given, name = self.spec.parameters, self.spec.output_name
        saved: list[SavedFile] = []
        last = step >= self.length.total_steps
        every = given.save_every_n_steps
        if every is not None and step % every == 0 and not last:
            gone = step_to_remove(step, every, given.save_last_n_steps)
            saved.append(self._save(step_name(name, step), step, loss, None if gone is None else step_name(name, gone)))
        epoch, rest = divmod(step, self.length.steps_per_epoch)
        if rest == 0 and not last and saves_epoch(epoch, self.length.epochs, given.save_every_n_epochs):
            gone = epoch_to_remove(epoch, given.save_every_n_epochs, given.save_last_n_epochs)
            saved.append(
                self._save(epoch_name(name, epoch), step, loss, None if gone is None else epoch_name(name, gone))
            )
        return saved

    def final(self, loss: float | None = None) -> SavedFile:
        return self._save(final_name(self.spec.output_name), self.length.total_steps, loss, final=True)

    def _save(
        self, name: str, step: int, loss: float | None, gone: str | None = None, *, final: bool = False
    ) -> SavedFile:
        epoch = -(-step // self.length.steps_per_epoch)
        path = self.folder / name
        dtype = PRECISIONS.get(self.spec.parameters.save_precision or "float", torch.float32)
        try:
            write_network(path, self.network.file_tensors(dtype), self._metadata(epoch, step))
        except OSError as error:
            raise refusal("disk_full", step=step) from error
        if gone is not None:
            with contextlib.suppress(OSError):
                (self.folder / gone).unlink(missing_ok=True)
        return SavedFile(path, epoch, step, final, loss, gone and gone.removesuffix(SUFFIX))

    def _metadata(self, epoch: int, step: int) -> dict[str, str]:
        run = RunFacts(
            session=self.session["id"],
            started_at=self.session["started"],
            finished_at=time.time(),
            output_name=self.spec.output_name,
            family=self.checkpoint.family,
            predicts_v=self.checkpoint.prediction == "v",
            checkpoint=self.spec.checkpoint,
            checkpoint_sha256=self.base.sha256,
            checkpoint_old_hash=self.base.old_hash,
            vae=self.base.vae,
            vae_sha256=self.base.vae_sha256,
            vae_old_hash=self.base.vae_old_hash,
            epoch=epoch,
            step=step,
        )
        facts = [self._facts(place, dataset) for place, dataset in enumerate(self.spec.datasets)]
        return training_metadata(self.spec.parameters, self.length, facts, run)

    def _facts(self, place: int, dataset: TrainDataset) -> DatasetFacts:
        own = [picture for picture in self.pictures.all if picture.dataset == place]
        buckets: Counter[tuple[int, int]] = Counter()
        for picture in own:
            buckets[picture.fit.bucket] += picture.repeats
        folders = [
            FolderFacts(
                subset.name, subset.num_repeats, subset.is_reg, subset.rules,
                [image.caption if image.caption is not None else subset.class_tokens for image in subset.images],
            )
            for subset in dataset.subsets
        ]  # fmt: skip
        # Of a data set of the class alone nothing is seen.
        error = sum(abs(picture.fit.ar_error) for picture in own) / max(1, len(own))
        return DatasetFacts(dataset.rules, folders, buckets, error)
