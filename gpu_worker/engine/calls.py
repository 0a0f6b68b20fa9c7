"""What samplers and tasks ask of the driver. They are generators: they yield a call and are sent its answer.

Latents are float32 on the model's device, shape [n, 4, h, w], in the variance-exploding scale (x = x0 + sigma * noise).
Pictures are uint8 arrays [height, width, 3]. A sampler knows nothing but x and sigma; the task that runs it says by
whose weights and words each call is answered (`GuidedCall`).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from gpu_worker.engine.conditioning.guide import Guide
    from gpu_worker.engine.state import ModelState
    from gpu_worker.protocol.specs import DetailFix, FaceRestore

__all__ = [
    "Call", "DecodeCall", "DetectCall", "EncodeCall", "Floats", "GuidedCall", "ModelCall", "Phase", "Picture",
    "Prediction", "RestoreCall", "Sampling", "Task", "UpscaleCall",
]  # fmt: skip

Phase = Literal[
    "loading", "encoding", "sampling", "hires", "tiles", "decoding", "upscaling", "restoring", "looking", "saving",
    "details",
]  # fmt: skip

Picture: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class ModelCall:
    """One evaluation of the model at `x`; answered by a Prediction."""

    x: torch.Tensor
    sigma: float
    step: int
    """Counts from 0."""
    of: int
    phase: Phase = "sampling"
    timestep: float | None = None
    """Where a sampler's own clock differs from the table's reading of sigma (UniPC); None reads the table."""
    cfg_multiplier: float = 1.0
    """Factor on the CFG scale for this call (DDIM CFG++)."""
    wants_uncond: bool = False
    """The sampler reads `Prediction.uncond`, so the negative prompt is evaluated whatever the CFG scale."""


@dataclass(frozen=True)
class Prediction:
    """Estimates of the finished latent: guided, and what guidance mixed it from (None where it was left out)."""

    denoised: torch.Tensor
    uncond: torch.Tensor | None = None


@dataclass(frozen=True)
class GuidedCall:
    """A sampler's call with the conditioning of its pass; answered by a Prediction."""

    call: ModelCall
    guide: Guide
    number: int
    """Counts the calls of the pass from 0; prompt editing goes by it (behaviours §2.3)."""
    done: float = 0.0
    """Share of the pass's steps that lie behind; control units go by it (behaviours §17)."""
    step: int = 0
    """Of the pass, from 0; regions go by it (behaviours §18)."""


@dataclass(frozen=True)
class DecodeCall:
    """Answered by a list of pictures."""

    latents: torch.Tensor
    state: ModelState


@dataclass(frozen=True)
class EncodeCall:
    """Answered by latents, one for each picture; all pictures have one size and type.

    Pictures are uint8, or float32 from -1 to 1 where masked ones need a grey that bytes cannot say.
    """

    pictures: list[Picture] | list[Floats]
    state: ModelState


@dataclass(frozen=True)
class UpscaleCall:
    """Answered by a list of pictures of exactly this size in pixels."""

    pictures: list[Picture]
    width: int
    height: int
    upscaler: str


@dataclass(frozen=True)
class RestoreCall:
    """Answered by a list of pictures with their faces restored."""

    pictures: list[Picture]
    wish: FaceRestore


@dataclass(frozen=True)
class DetectCall:
    """Answered by a list of masks, uint8 [height, width] of the picture, 255 where a find is."""

    picture: Picture
    unit: DetailFix


Call: TypeAlias = GuidedCall | DecodeCall | EncodeCall | UpscaleCall | RestoreCall | DetectCall
T = TypeVar("T")
Sampling: TypeAlias = Generator[ModelCall, Prediction, torch.Tensor]
Task: TypeAlias = Generator[Call, Any, T]
