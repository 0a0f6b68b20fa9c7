"""What the units know of preprocessors (behaviours §17.2); what these do is in the package `preprocessors`."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.book import Preprocessors
from gpu_worker.engine.device import Device
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE, find_preprocessor
from gpu_worker.protocol.specs import ControlType, ControlUnit

__all__ = ["INPAINT", "PREPROCESSORS", "Preprocess", "preprocess", "shows", "softens_hires"]

Preprocess = Callable[[str, Picture, ControlUnit], Picture]
"""A map, uint8 [h, w, 3], of a picture of any size."""

INPAINT = frozenset(
    name for entry in PREPROCESSOR_TABLE if entry.tag == "Inpaint" for name in (entry.name, *entry.aliases)
)
"""The picture itself; what its mask covers is hidden from the network."""
PREPROCESSORS = tuple(entry.name for entry in PREPROCESSOR_TABLE if not entry.files)
"""Those that need no weights."""

_WITHOUT_WEIGHTS = Preprocessors(lambda: (), Device(torch.device("cpu"), torch.float32))


def preprocess(name: str, picture: Picture, unit: ControlUnit) -> Picture:
    """For those that need no weights. Raises EngineError as Preprocessors does."""
    return _WITHOUT_WEIGHTS.preprocess(name, picture, unit)


def shows(name: str) -> ControlType | None:
    """What its maps show, for union models."""
    entry = find_preprocessor(name)
    return entry.shows if entry is not None else None


def softens_hires(name: str) -> bool:
    """Whether A1111 takes the soft weights for it in the second pass (behaviours §17.4)."""
    return name in {"canny", "mlsd"}
