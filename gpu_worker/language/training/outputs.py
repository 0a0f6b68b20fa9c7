"""Names of a training's files, and which of them go when another is saved (behaviours §24.5)."""

from __future__ import annotations

__all__ = [
    "SUFFIX", "TRAININGS", "epoch_name", "epoch_to_remove", "final_name", "saves_epoch", "step_name", "step_to_remove",
]  # fmt: skip

SUFFIX = ".safetensors"
TRAININGS = "trainings"
"""Folder of the operator's data where saved files come to lie, in a folder of each job."""


def epoch_name(output_name: str | None, epoch: int) -> str:
    return f"{output_name or 'epoch'}-{epoch:06d}{SUFFIX}"


def step_name(output_name: str | None, step: int) -> str:
    return f"{output_name or 'at'}-step{step:08d}{SUFFIX}"


def final_name(output_name: str | None) -> str:
    return f"{output_name or 'last'}{SUFFIX}"


def saves_epoch(epoch: int, epochs: int, every: int | None) -> bool:
    """Whether a file of this epoch's own is written after it; the last one has the final name alone."""
    return every is not None and epoch % every == 0 and epoch < epochs


def epoch_to_remove(epoch: int, every: int | None, keep: int | None) -> int | None:
    """The epoch whose file goes after that of `epoch` was saved, where `keep` of them are to stay. There may be no such
    file: 0 is never saved."""
    if every is None or keep is None:
        return None
    gone = epoch - every * keep
    return gone if gone >= 0 else None


def step_to_remove(step: int, every: int | None, keep: int | None) -> int | None:
    """The same for steps; there `keep` counts steps and not files."""
    if every is None or keep is None:
        return None
    gone = step - keep - 1
    gone -= gone % every
    return gone if gone >= 0 else None
