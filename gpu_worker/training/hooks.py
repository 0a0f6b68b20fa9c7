"""What a training needs from whoever runs it, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from gpu_worker.protocol.specs import ImageRef

__all__ = ["Outcome", "SavedFile", "TrainingHooks", "TrainingProgress", "Wish"]

Wish = Literal["go on", "pause", "cancel"]
Outcome = Literal["done", "paused"]


@dataclass(frozen=True)
class TrainingProgress:
    """After each step."""

    step: int
    total_steps: int
    epoch: int
    """From 1."""
    epochs: int
    loss: float
    average_loss: float
    """Of the last hundred steps at most."""
    unet_lr: float
    text_encoder_lr: float
    curve: tuple[float, ...] = ()
    """Loss of the whole run so far, in few points (gpu_worker/training/curve.py)."""


@dataclass(frozen=True)
class SavedFile:
    path: Path
    epoch: int
    step: int
    final: bool
    loss: float | None = None
    """The average loss then."""
    gone: str | None = None
    """Stem of an earlier file that was removed for this one."""


class TrainingHooks(Protocol):
    """Called on the thread that trains; none of them may block for long."""

    def wish(self) -> Wish:
        """Asked between steps, and while pictures are prepared."""
        ...

    def preparing(self, done: int, of: int) -> None:
        """Pictures whose latents are there."""
        ...

    def progress(self, progress: TrainingProgress) -> None: ...

    def saved(self, file: SavedFile) -> None:
        """On the disk. What is raised here ends the training, whose last state does not know of the file yet."""
        ...

    def open_image(self, ref: ImageRef) -> bytes: ...
