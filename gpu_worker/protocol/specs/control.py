"""Pictures whose structure a drawing follows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_worker.protocol.specs.base import ImageRef, Share, Wire

__all__ = [
    "ControlMode", "ControlResize", "ControlType", "ControlUnit",
]  # fmt: skip

ControlMode = Literal["Balanced", "My prompt is more important", "ControlNet is more important"]
ControlResize = Literal["Just Resize", "Crop and Resize", "Resize and Fill"]
ControlType = Literal[
    "OpenPose", "Depth", "Soft Edge", "Hard Edge", "Normal Map", "Segmentation", "Tile", "Inpaint"
]  # fmt: skip


class ControlUnit(Wire):
    """A picture whose structure a control model has the drawing follow (behaviours §17)."""

    model: str
    """A ControlNet, T2I adapter or Control-LoRA by its name in the worker's model list."""
    image: ImageRef | None = None
    """None is the picture that an img2img starts from."""
    preprocessor: str = Field(default="none", max_length=60)
    """`none` takes the image for a map that is ready."""
    weight: float = Field(default=1.0, ge=0, le=2)
    start: Share = 0.0
    end: Share = 1.0
    """Shares of the pass between which it leads."""
    mode: ControlMode = "Balanced"
    resize_mode: ControlResize = "Crop and Resize"
    mask: ImageRef | None = None
    """White is where it leads; for the `inpaint` preprocessors what is drawn anew."""
    hires: Literal["Both", "Low res only", "High res only"] = "Both"
    """Which passes of a hires fix it leads; without one it leads the only one there is."""
    low_memory: bool = False
    """The model visits the card for each of its calls alone."""
    pixel_perfect: bool = False
    """The preprocessor's resolution is reckoned from both sizes."""
    processor_resolution: int = Field(default=512, ge=64, le=2048)
    """Shorter side in pixels of what the preprocessor sees."""
    threshold_a: float | None = Field(default=None, ge=0, le=255)
    threshold_b: float | None = Field(default=None, ge=0, le=255)
    """The preprocessor's own numbers; None is its default."""
    control_type: ControlType | None = None
    """What the map shows, for union models; None tells it by the preprocessor."""
