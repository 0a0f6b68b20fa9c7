"""What a preprocessor is given, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.annotators import Annotators
from gpu_worker.language.models import ModelFile

__all__ = ["Look", "Maker", "as_tensor", "as_uint8", "grey"]


@dataclass(frozen=True, eq=False)
class Look:
    """One call: uint8 RGB [h, w, 3], at the preprocessor's resolution and padded, where it has one."""

    seen: Picture
    size: tuple[int, int]
    """(width, height) without the padding."""
    a: float
    b: float
    files: dict[str, ModelFile]
    """Of the entry, by their published names."""
    annotators: Annotators
    seed: int

    @property
    def file(self) -> ModelFile:
        """The only one."""
        (only,) = self.files.values()
        return only


Maker = Callable[[Look], Picture]
"""Gives a map of the size of `seen`, or of any where the preprocessor has no resolution."""


def as_tensor(picture: Picture, device: torch.device) -> torch.Tensor:
    """[1, 3, h, w], float32 from 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).to(device).float()[None]


def as_uint8(values: Any) -> Picture:
    """Cut off rather than rounded, as A1111 does it; what is no number is black."""
    cleaned: Any = np.nan_to_num(np.asarray(values, dtype=np.float32), nan=0.0, posinf=255.0, neginf=0.0)
    made: Picture = cleaned.clip(0, 255).astype(np.uint8)
    return made


def grey(values: Picture) -> Picture:
    return np.repeat(values[:, :, None], 3, axis=2)
