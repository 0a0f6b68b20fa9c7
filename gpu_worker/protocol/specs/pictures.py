"""Work on a finished picture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_worker.protocol.specs.base import OUTPUT_MAX_PX, ImageRef, Share, Wire
from gpu_worker.protocol.specs.captions import Caption
from gpu_worker.protocol.specs.preprocess import Preprocess
from gpu_worker.protocol.specs.ultimate import Ultimate

__all__ = [
    "Describe", "PictureTask", "Upscale",
]  # fmt: skip


class Upscale(Wire):
    """A1111's Extras: enlarging and restoring a finished picture, without a checkpoint (behaviours §20)."""

    kind: Literal["upscale"] = "upscale"
    image: ImageRef
    scale: float = Field(default=4.0, ge=1, le=8)
    width: int = Field(default=0, ge=0, le=2 * OUTPUT_MAX_PX)
    height: int = Field(default=0, ge=0, le=2 * OUTPUT_MAX_PX)
    """Both given: scale to cover this size instead of `scale`."""
    crop: bool = True
    upscaler: str = "Lanczos"
    upscaler_2: str = "None"
    visibility_2: Share = 0.0
    gfpgan_visibility: Share = 0.0
    codeformer_visibility: Share = 0.0
    codeformer_weight: Share = 0.0


class Describe(Wire):
    """What a picture shows, in the words of a tagger: an ONNX file of the WD14 layout with its `selected_tags.csv`."""

    kind: Literal["describe"] = "describe"
    image: ImageRef
    tagger: str
    """Name as in the worker's model list."""
    general: Share = 0.35
    character: Share = 0.85
    """Probabilities from which a tag of that category counts. Ratings are never told."""


PictureTask = Upscale | Describe | Preprocess | Ultimate | Caption
"""For an Ultimate alone a checkpoint is loaded."""
