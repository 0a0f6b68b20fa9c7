"""What samplers and tasks ask of the driver. They are generators: they yield a call and are sent its answer.

Latents are float32 on the model's device, shape [n, 4, h, w], in the variance-exploding scale (x = x0 + sigma * noise).
Pictures are uint8 arrays [height, width, 3].
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch

__all__ = ["Call", "DecodeCall", "EncodeCall", "ModelCall", "Phase", "Picture", "Prediction", "Sampling", "Task"]

Phase = Literal["loading", "encoding", "sampling", "hires", "decoding", "saving"]

Picture: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class ModelCall:
    """One evaluation of the model at `x`; answered by a Prediction."""

    x: torch.Tensor
    sigma: float
    step: int
    """Counts from 0."""
    of: int
    phase: Phase = "sampling"


@dataclass(frozen=True)
class Prediction:
    denoised: torch.Tensor
    """The guided estimate of the finished latent."""


@dataclass(frozen=True)
class DecodeCall:
    """Answered by a list of pictures."""

    latents: torch.Tensor


@dataclass(frozen=True)
class EncodeCall:
    """Answered by latents, one for each picture; all pictures have one size."""

    pictures: list[Picture]


Call: TypeAlias = ModelCall | DecodeCall | EncodeCall
T = TypeVar("T")
Sampling: TypeAlias = Generator[ModelCall, Prediction, torch.Tensor]
Task: TypeAlias = Generator[Call, Any, T]
