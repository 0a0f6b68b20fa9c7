"""What is told of a picture that is drawn tile by tile: one progress over all, and the whole picture in previews."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw

from gpu_worker.engine.calls import Phase, Picture
from gpu_worker.engine.hooks import Hooks, Watch
from gpu_worker.engine.preview import preview_bytes
from gpu_worker.language.tiles import Box
from gpu_worker.protocol.messages import PreviewWish

__all__ = ["HUNDRED", "TileWatch"]

HUNDRED = 100
"""Progress is told in hundredths of a tile."""
_SEEN_PX = 512
"""Longer side of the small picture that previews are made of."""
_QUIET: frozenset[Phase] = frozenset({"encoding", "decoding", "restoring", "looking"})
"""Of a single tile they last too short to be told."""


class TileWatch(Watch):
    def __init__(self, hooks: Hooks) -> None:
        super().__init__(hooks)
        self._number, self._of = -1, 0
        self._box: Box = (0, 0, 1, 1)
        self._small: Picture | None = None
        self._scale = 1.0

    def begin(self, canvas: Picture, of: int) -> None:
        """The picture as it is before the first of `of` tiles."""
        height, width = canvas.shape[:2]
        self._of = of
        self._scale = min(1.0, _SEEN_PX / max(width, height))
        size = max(1, round(width * self._scale)), max(1, round(height * self._scale))
        self._small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.uint8)

    def tile(self, number: int, crop: Box) -> None:
        """Tile `number`, counted from 0, is drawn next."""
        self._number, self._box = number, self._shrunk(crop)
        self.report("sampling", 0, 1)

    def finished(self, crop: Box, piece: Picture) -> None:
        """What is there now in that part of the picture."""
        if self._small is None:
            return
        left, top, right, bottom = self._shrunk(crop)
        made = cv2.resize(piece, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        self._small[top:bottom, left:right] = made

    def end(self) -> None:
        self._number = -1

    def report(
        self, phase: Phase, step: int, of: int, draw: Callable[[PreviewWish], bytes | None] | None = None
    ) -> None:
        if self._number < 0:
            super().report(phase, step, of, draw)
        elif phase not in _QUIET:
            done = HUNDRED * self._number + HUNDRED * step // max(1, of)
            shown = None if draw is None else lambda wish: self._whole(wish, draw)
            super().report("tiles", done, HUNDRED * self._of, shown)

    def _whole(self, wish: PreviewWish, draw: Callable[[PreviewWish], bytes | None]) -> bytes | None:
        """The picture, with the tile in work as far as it is, in a frame."""
        tile = draw(wish)
        if self._small is None or tile is None:
            return tile
        left, top, right, bottom = self._box
        sheet = Image.fromarray(self._small)
        with Image.open(io.BytesIO(tile), formats=("JPEG",)) as seen:
            sheet.paste(seen.convert("RGB").resize((right - left, bottom - top)), (left, top))
        ImageDraw.Draw(sheet).rectangle((left, top, right - 1, bottom - 1), outline="white")
        return preview_bytes(np.asarray(sheet)[None], wish)

    def _shrunk(self, crop: Box) -> Box:
        left, top = int(crop[0] * self._scale), int(crop[1] * self._scale)
        return left, top, max(left + 1, round(crop[2] * self._scale)), max(top + 1, round(crop[3] * self._scale))
