"""What the preprocessor `inpaint_only` leaves as it was comes back over the drawing, as in A1111 (behaviours §17.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.control.units import ControlMap
from gpu_worker.language.preprocessors import find_preprocessor

__all__ = ["pasted_back"]

_PASTED = "inpaint_only"
_SOFT_PX = 7
"""A1111's setting for the width of the seam."""


def pasted_back(pictures: list[Picture], maps: Sequence[ControlMap]) -> list[Picture]:
    """Outside each unit's mask its own picture; the seam lies outside, too. Without a mask nothing is pasted."""
    for each in maps:
        entry = find_preprocessor(each.opened.unit.preprocessor)
        if entry is None or entry.name != _PASTED:
            continue
        pixels: Floats = each.pixels[0].numpy().transpose(1, 2, 0)
        hidden = (pixels[..., 0] < 0).astype(np.float32)
        if hidden.any() and all(picture.shape == pixels.shape for picture in pictures):
            pictures = [_pasted(picture, pixels, hidden) for picture in pictures]
    return pictures


def _pasted(picture: Picture, own: Floats, hidden: Floats) -> Picture:
    side = (_SOFT_PX, _SOFT_PX)
    grown: Any = cv2.blur(cv2.dilate(hidden, np.ones(side, np.uint8)), side)
    share = grown[..., None]
    made: Picture = (share * picture + (1 - share) * own * 255).round().clip(0, 255).astype(np.uint8)
    return made
