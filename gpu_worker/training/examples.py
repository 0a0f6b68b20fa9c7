"""A batch of pictures as the tensors of one forward pass."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.language.training.captions import process_caption
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.training.batches import Batch, Epochs
from gpu_worker.training.loss import Example
from gpu_worker.training.pictures import TrainedPicture, View
from gpu_worker.training.texts import read_texts

__all__ = ["Moment", "example_of"]


@dataclass(frozen=True)
class Moment:
    """Where in the training a batch is seen; epoch and step count from 0."""

    epoch: int
    step: int
    total_steps: int


def example_of(
    checkpoint: Checkpoint, epochs: Epochs, batch: Batch, given: Parameters, moment: Moment, throw: random.Random
) -> Example:
    """`throw` decides mirroring, crops and captions. Text encoders that learn keep their gradients."""
    device = checkpoint.device.torch_device
    views = epochs.views(batch, throw)
    captions = [
        process_caption(
            picture.caption, picture.subset.rules, throw,
            epoch=moment.epoch + 1, step=moment.step, steps=moment.total_steps,
        )
        for picture in batch
    ]  # fmt: skip
    latents = torch.stack([epochs.pictures.latents(one, view) for one, view in zip(batch, views, strict=True)])
    weights = [given.prior_loss_weight if picture.subset.is_reg else 1.0 for picture in batch]
    with torch.set_grad_enabled(given.rates[1] > 0):
        texts = read_texts(checkpoint, captions, given)
    sizes = [_sizes(epochs, picture, view) for picture, view in zip(batch, views, strict=True)]
    return Example(latents.to(device), texts, torch.tensor(sizes, device=device), torch.tensor(weights, device=device))


def _sizes(epochs: Epochs, picture: TrainedPicture, view: View) -> list[float]:
    left, top = epochs.pictures.offsets(picture, view)
    (width, height), (wide, high) = picture.size, picture.fit.bucket
    return [float(number) for number in (height, width, top, left, high, wide)]
