"""Parts of a picture that are found and drawn once more, larger: what A1111's users know as ADetailer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gpu_worker.protocol.specs.base import SIZE_MAX_PX, CfgScale, Share, Wire

__all__ = ["DETAILS_MAX", "DetailFix", "DetailSort"]

DETAILS_MAX = 4
"""Units of one drawing."""

DetailSort = Literal["None", "Position (left to right)", "Position (center to edge)", "Area (large to small)"]


class DetailFix(Wire):
    """One unit: what its detector finds is inpainted at a size of its own and put back. Names, ranges and defaults are
    ADetailer's; a part gets the picture's seed plus its number."""

    model: str = Field(min_length=1, max_length=200)
    """A detector by its name in the worker's model list, or `retinaface`, which face restoration looks with."""
    classes: str = Field(default="", max_length=200)
    """Names or numbers of what the detector knows, with commas; empty takes all of it."""
    confidence: Share = 0.3
    prompt: str = Field(default="", max_length=4000)
    """Empty is the picture's. `[PROMPT]` stands for that, `[SEP]` parts the prompts of several finds, the last of which
    is for all that follow, and a find whose prompt is `[SKIP]` is left as it is."""
    negative_prompt: str = Field(default="", max_length=4000)
    only_k: int = Field(default=0, ge=0, le=32)
    """Only so many, the largest; 0 takes all."""
    most: int = Field(default=8, ge=1, le=32)
    """How many are drawn at most, in the order of `sort`."""
    min_ratio: Share = 0.0
    max_ratio: Share = 1.0
    """Area of a find's box as a share of the picture's."""
    sort: DetailSort = "None"
    """`None`: the surest first."""
    x_offset: int = Field(default=0, ge=-200, le=200)
    y_offset: int = Field(default=0, ge=-200, le=200)
    """Pixels by which masks are moved to the right and up."""
    dilate: int = Field(default=4, ge=-128, le=128)
    """Pixels by which masks grow, or shrink."""
    merge: Literal["None", "Merge", "Merge and Invert"] = "None"
    mask_blur: int = Field(default=4, ge=0, le=64)
    denoising_strength: Share = 0.4
    """At 0 nothing is drawn, and the picture stays as it is."""
    only_masked: bool = True
    padding_px: int = Field(default=32, ge=0, le=256)
    width: int = Field(default=0, ge=0, le=SIZE_MAX_PX, multiple_of=8)
    height: int = Field(default=0, ge=0, le=SIZE_MAX_PX, multiple_of=8)
    """What a find is drawn at; 0 is the drawing's own size."""
    steps: int = Field(default=0, ge=0, le=150)
    cfg_scale: CfgScale | None = None
    sampler: str | None = None
    schedule: str | None = None
    """0 and None: as the drawing."""

    @model_validator(mode="after")
    def _whole_size(self) -> DetailFix:
        if (self.width > 0) != (self.height > 0) or 0 < min(self.width, self.height) < 64:
            raise ValueError(f"parts drawn at {self.width} x {self.height}")
        if self.min_ratio > self.max_ratio:
            raise ValueError(f"no box has from {self.min_ratio} to {self.max_ratio} of a picture")
        return self
