"""Preprocessors: what makes a control model's map of a picture (behaviours §17.2), by A1111's names.

One is a function of a picture and its unit, whose resolution and thresholds it reads; both pictures are uint8
[h, w, 3], of any sizes. Whoever adds one adds it to `PREPROCESSORS`, and to `CONTROL_TYPES` what its map shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.maps import resized_for_detection, unpadded
from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import ControlType, ControlUnit

__all__ = ["CONTROL_TYPES", "INPAINT", "PREPROCESSORS", "Preprocessor", "preprocess", "softens_hires"]

Preprocessor = Callable[[Picture, ControlUnit], Picture]

INPAINT = frozenset({"inpaint", "inpaint_only", "inpaint_global_harmonious"})
"""The picture itself; what its mask covers is hidden from the network."""
_TILE_FROM = 1.1

CONTROL_TYPES: dict[str, ControlType] = {
    "canny": "Hard Edge", "tile_resample": "Tile", "blur_gaussian": "Tile",
    **dict.fromkeys(sorted(INPAINT), "Inpaint"),
}  # fmt: skip
"""For union models."""


def preprocess(name: str, picture: Picture, unit: ControlUnit) -> Picture:
    """The map. `unit.processor_resolution` holds, pixel perfect or not. Raises EngineError `bad_input` for a name that
    nothing here knows (`preprocessor`) and for a picture that its resolution takes out of bounds."""
    found = PREPROCESSORS.get(name)
    if found is None:
        detail = {"preprocessor": name, "reason": "preprocessor"}
        raise EngineError("bad_input", f"no preprocessor {name}", detail)
    return found(picture, unit)


def softens_hires(name: str) -> bool:
    """Whether A1111 takes the soft weights for it in the second pass (behaviours §17.4)."""
    return name in {"canny", "mlsd"}


def _none(picture: Picture, unit: ControlUnit) -> Picture:
    return picture


def _invert(picture: Picture, unit: ControlUnit) -> Picture:
    return 255 - picture


def _canny(picture: Picture, unit: ControlUnit) -> Picture:
    import cv2

    low, high = _number(unit.threshold_a, 100), _number(unit.threshold_b, 200)

    def edges(seen: Picture) -> Any:
        return np.dstack([cv2.Canny(seen, low, high)] * 3)

    return _detected(picture, unit, edges)


def _threshold(picture: Picture, unit: ControlUnit) -> Picture:
    at = _number(unit.threshold_a, 127)
    return _detected(picture, unit, lambda seen: np.where(seen > at, 255, 0).astype(np.uint8))


def _blur(picture: Picture, unit: ControlUnit) -> Picture:
    import cv2

    sigma = max(0.01, min(64.0, _number(unit.threshold_a, 9)))
    return _detected(picture, unit, lambda seen: cv2.GaussianBlur(seen, (0, 0), sigma))


def _tile(picture: Picture, unit: ControlUnit) -> Picture:
    import cv2

    rate = min(8.0, _number(unit.threshold_a, 1))
    if rate < _TILE_FROM:
        return picture
    size = max(1, int(picture.shape[1] / rate)), max(1, int(picture.shape[0] / rate))
    made: Any = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return made


def _detected(picture: Picture, unit: ControlUnit, detect: Callable[[Picture], Any]) -> Picture:
    seen, size = resized_for_detection(picture, unit.processor_resolution)
    return unpadded(detect(seen), size)


def _number(value: float | None, default: float) -> float:
    return default if value is None else value


PREPROCESSORS: dict[str, Preprocessor] = {
    "none": _none, "invert": _invert, "canny": _canny, "threshold": _threshold, "blur_gaussian": _blur,
    "tile_resample": _tile, **dict.fromkeys(sorted(INPAINT), _none),
}  # fmt: skip
