"""Finished tiles that outlive their worker: what is handed over after each, and how a later attempt takes them up."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.hooks import Hooks, Resumable
from gpu_worker.language.tiles import Box

__all__ = ["Pieces"]

_PLACE, _START = "place", "start"
_SEEN_PX = 8
_LEVELS = 2
"""So far a start may be off: another card enlarges a little differently, another upscaler by far."""
_TROUBLE = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)


@dataclass(frozen=True, eq=False)
class Pieces:
    """Of one job; `start` is the picture that the first tile is drawn on."""

    hooks: Resumable | None
    start: bytes

    @classmethod
    def of(cls, hooks: Hooks, start: Picture) -> Pieces:
        seen = cv2.resize(start, (_SEEN_PX, _SEEN_PX), interpolation=cv2.INTER_AREA)
        return cls(hooks if isinstance(hooks, Resumable) else None, seen.tobytes())

    def earlier(self, number: int, place: Box) -> Picture | None:
        """What tile `number` made of that part of the picture; None where it has to be drawn: never finished, damaged,
        or of another start."""
        data = self.hooks.part(number) if self.hooks is not None else None
        if data is None:
            return None
        try:
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if image.size != (place[2] - place[0], place[3] - place[1]):
                    return None
                if image.info.get(_PLACE) != _written(place) or not self._alike(image.info.get(_START)):
                    return None
                return np.asarray(image.convert("RGB"))
        except _TROUBLE:
            return None

    def keep(self, number: int, place: Box, piece: Picture) -> None:
        """Lossless. What cannot be kept is drawn again if it comes to that."""
        if self.hooks is None:
            return
        info = PngInfo()
        info.add_text(_PLACE, _written(place))
        info.add_text(_START, self.start.hex())
        target = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(piece)).save(target, "PNG", pnginfo=info, compress_level=1)
        self.hooks.keep(number, target.getvalue())

    def _alike(self, told: object) -> bool:
        start = bytes.fromhex(told) if isinstance(told, str) else b""
        if len(start) != len(self.start):
            return False
        return max(abs(one - other) for one, other in zip(start, self.start, strict=True)) <= _LEVELS


def _written(place: Box) -> str:
    return ",".join(map(str, place))
