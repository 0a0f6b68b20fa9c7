"""A picture enlarged, and drawn again tile by tile: Ultimate SD upscale (behaviours §16)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gpu_worker.language.tiles import TileDraw, drawn_tiles
from gpu_worker.protocol.specs.base import SIZE_MAX_PX, SIZE_MIN_PX, Share, Wire
from gpu_worker.protocol.specs.drawings import Img2Img

__all__ = ["TILES_MAX", "ULTIMATE_MAX_PX", "Ultimate"]

ULTIMATE_MAX_PX = 8192
TILES_MAX = 2048
"""Draws of one job, with those that mend seams."""

Side = Annotated[int, Field(ge=SIZE_MIN_PX, le=ULTIMATE_MAX_PX)]
TileSide = Annotated[int, Field(ge=0, le=SIZE_MAX_PX, multiple_of=8)]
Blur = Annotated[int, Field(ge=0, le=64)]


class Ultimate(Wire):
    """The result has the size `width` x `height`: the picture is enlarged by `upscaler`, brought to the size, and each
    tile of it drawn as an inpainting of "only masked", all from one seed."""

    kind: Literal["ultimate"] = "ultimate"
    drawing: Img2Img
    """How a tile is drawn. Its image is the picture, its denoising strength the tiles'; its size does not count, and it
    has one picture and no mask of its own."""
    width: Side
    height: Side
    upscaler: str = "None"
    """`None` and `Lanczos` resize; else an upscaler model by name."""
    redraw: Literal["linear", "chess", "none"] = "linear"
    tile_width: TileSide = 512
    tile_height: TileSide = 0
    """One of them 0 is as the other."""
    mask_blur: Blur = 8
    padding: int = Field(default=32, ge=0, le=512)
    seams: Literal["none", "band pass", "half tile offset pass", "half tile offset pass + intersections"] = "none"
    seams_denoise: Share = 0.35
    seams_width: int = Field(default=64, ge=8, le=128)
    seams_blur: Blur = 4
    seams_padding: int = Field(default=16, ge=0, le=128)
    keep_upscaled: bool = True
    """The picture before its seams are mended is a result."""
    keep_mended: bool = True
    """The one with mended seams is the next result; without a seams fix there is none."""

    @property
    def checkpoint(self) -> str:
        return self.drawing.checkpoint

    def tiles(self) -> tuple[TileDraw, ...]:
        """All that is drawn, in order."""
        return drawn_tiles(
            (self.width, self.height),
            (self.tile_width, self.tile_height),
            redraw=self.redraw,
            blur=self.mask_blur,
            padding=self.padding,
            seams=self.seams,
            seams_width=self.seams_width,
            seams_blur=self.seams_blur,
            seams_padding=self.seams_padding,
        )

    @property
    def results(self) -> int:
        """How many pictures come of it."""
        return 1 if self.seams == "none" else self.keep_upscaled + self.keep_mended

    @model_validator(mode="after")
    def _drawable(self) -> Ultimate:
        tile = self.tile_width or self.tile_height, self.tile_height or self.tile_width
        if min(tile) < SIZE_MIN_PX:
            raise ValueError(f"a tile of {tile}")
        if max(tile) + self.padding > SIZE_MAX_PX:
            raise ValueError(f"a tile of {tile} with {self.padding} px around it")
        columns, rows = -(-self.width // tile[0]), -(-self.height // tile[1])
        # Four times at most: every tile, twice its seams, its corners.
        if columns * rows > TILES_MAX or (columns * rows * 4 > TILES_MAX and len(self.tiles()) > TILES_MAX):
            raise ValueError(f"{columns} x {rows} tiles and their seams are over {TILES_MAX}")
        if self.seams != "none" and not (self.keep_upscaled or self.keep_mended):
            raise ValueError("no result is kept")
        drawing = self.drawing
        if drawing.count != 1 or drawing.mask is not None or drawing.extend is not None or drawing.details:
            raise ValueError("a tile is one picture, whose mask is the tile's own")
        return self
