"""The map of a picture by itself, without a drawing that follows it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gpu_worker.protocol.specs.base import OUTPUT_MAX_PX, SEED_MAX, ImageRef, Wire
from gpu_worker.protocol.specs.control import ControlResize, ControlUnit

__all__ = ["Preprocess"]


class Preprocess(Wire):
    """What a preprocessor makes of a picture (behaviours §17.2–17.3). The same fields give a drawing the same map."""

    kind: Literal["preprocess"] = "preprocess"
    image: ImageRef
    preprocessor: str = Field(min_length=1, max_length=60)
    """By its name or an old one (gpu_worker.language.preprocessors)."""
    processor_resolution: int = Field(default=512, ge=64, le=2048)
    """Shorter side in pixels of what the preprocessor sees."""
    threshold_a: float | None = Field(default=None, ge=0, le=255)
    threshold_b: float | None = Field(default=None, ge=0, le=255)
    """The preprocessor's own numbers; None is its default."""
    pixel_perfect: bool = False
    """The resolution is reckoned from the picture's size and the target's."""
    width: int = Field(default=0, ge=0, le=OUTPUT_MAX_PX)
    height: int = Field(default=0, ge=0, le=OUTPUT_MAX_PX)
    """The target: the size that a drawing would have. 0 is none."""
    resize_mode: ControlResize = "Crop and Resize"
    """How the picture would come to the target."""
    fit: bool = False
    """The map is brought to the target, as a drawing's network sees it; else it is as large as it was detected."""
    brought: Literal["Just resize", "Crop and resize", "Resize and fill"] | None = None
    """How the picture itself comes to the target before anything looks at it, as that of an img2img does."""
    mask: ImageRef | None = None
    """For the `inpaint` preprocessors: white is what they hide. It is shown faded."""
    seed: int = Field(default=0, ge=0, le=SEED_MAX)
    """What preprocessors that draw lots go by."""
    others: tuple[Preprocess, ...] = Field(default=(), max_length=3)
    """Further maps of the same job, in order: those of a drawing with several units. They have none themselves."""

    @model_validator(mode="after")
    def _has_target(self) -> Preprocess:
        if (self.pixel_perfect or self.fit or self.brought) and not (self.width and self.height):
            raise ValueError("a width and a height are needed")
        if any(other.others for other in self.others):
            raise ValueError("maps below maps")
        return self

    @property
    def maps(self) -> tuple[Preprocess, ...]:
        """Each by itself, in order."""
        return (self.model_copy(update={"others": ()}), *self.others)

    @property
    def unit(self) -> ControlUnit:
        """The control unit that would see the same."""
        names = ("image", "mask", "preprocessor", "processor_resolution", "threshold_a", "threshold_b",
                 "pixel_perfect", "resize_mode")  # fmt: skip
        return ControlUnit(model="", **{name: getattr(self, name) for name in names})
