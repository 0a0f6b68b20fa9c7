"""The map of a picture by itself (`/preprocess`): the same that a control unit with these fields would see."""

from __future__ import annotations

import numpy as np

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.maps import brought_to
from gpu_worker.engine.control.preprocess import INPAINT
from gpu_worker.engine.control.preprocessors.book import Preprocessors
from gpu_worker.engine.control.units import at_resolution
from gpu_worker.engine.images.geometry import fit, resample
from gpu_worker.protocol.specs import Preprocess

__all__ = ["made_map"]


def made_map(spec: Preprocess, picture: Picture, mask: Picture | None, preprocessors: Preprocessors) -> Picture:
    """uint8 [h, w, 3]: of the target's size with `fit`, else as large as it was detected. Raises EngineError as
    `Preprocessors.preprocess` does, and as `brought_to`."""
    target = spec.width, spec.height
    if spec.brought is not None:
        picture = fit(picture, *target, spec.brought)
        mask = fit(mask, *target, spec.brought) if mask is not None else None
    unit = at_resolution(spec.unit, (picture.shape[1], picture.shape[0]), target)
    made = preprocessors.preprocess(spec.preprocessor, picture, unit, spec.seed)
    if mask is not None and spec.preprocessor.casefold() in INPAINT:
        hidden = np.where(resample(mask, made.shape[1], made.shape[0]) > 127, 255, 0).astype(np.uint8)
        made = np.dstack([made, hidden])
    if spec.fit:
        made = brought_to(made, *target, spec.resize_mode)
    return _faded(made) if made.shape[2] > 3 else made


def _faded(made: Picture) -> Picture:
    """What a mask hides is half white, as A1111 shows it."""
    colours = made[..., :3]
    return np.where(made[..., 3:] > 127, colours // 2 + 128, colours).astype(np.uint8)
