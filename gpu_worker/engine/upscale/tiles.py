"""A picture in overlapping tiles, and the enlarged tiles put together again: behaviours §20."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gpu_worker.engine.calls import Picture

__all__ = ["TileGrid", "averaged", "dense_grid", "merged", "split_grid"]


@dataclass(frozen=True)
class TileGrid:
    """Where tiles lie. Pixels of the small picture."""

    tile_width: int
    tile_height: int
    overlap: int
    rows: tuple[int, ...]
    """Upper edge of each row."""
    columns: tuple[int, ...]
    """Left edge of each column."""
    dense: bool = False
    """Tiles are to be averaged."""

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def boxes(self) -> Iterator[tuple[int, int, int, int]]:
        """left, top, right, bottom; row by row."""
        for top in self.rows:
            for left in self.columns:
                yield left, top, left + self.tile_width, top + self.tile_height


def split_grid(width: int, height: int, tile_width: int, tile_height: int, overlap: int) -> TileGrid:
    """Tiles of equal size, spread evenly; neighbours overlap by `overlap` or more.

    A picture smaller than a tile lies at its right and lower end, so that edges come out negative; a caller who wants
    none makes the tile no larger than the picture. `overlap` must be smaller than the tile.
    """
    return TileGrid(
        tile_width,
        tile_height,
        overlap,
        rows=_spread(height, tile_height, overlap),
        columns=_spread(width, tile_width, overlap),
    )


def dense_grid(width: int, height: int, tile: int, overlap: int) -> TileGrid:
    """Square tiles at a fixed step, the last one of each row and column moved back inside; to be averaged."""
    step = tile - overlap
    rows, columns = ((*range(0, length - tile, step), length - tile) for length in (height, width))
    return TileGrid(tile, tile, overlap, rows, columns, dense=True)


def averaged(tiles: list[Picture], grid: TileGrid, factor: int) -> Picture:
    """The mean of all tiles that show a pixel; tiles as for `merged`."""
    width, height = grid.columns[-1] + grid.tile_width, grid.rows[-1] + grid.tile_height
    total = np.zeros((height * factor, width * factor, 3), np.uint32)
    shown = np.zeros((height * factor, width * factor, 1), np.uint32)
    for (left, top, right, bottom), tile in zip(grid.boxes(), tiles, strict=True):
        place = slice(top * factor, bottom * factor), slice(left * factor, right * factor)
        total[place] += tile
        shown[place] += 1
    return ((total + shown // 2) // shown).astype(np.uint8)


def merged(tiles: list[Picture], grid: TileGrid, factor: int) -> Picture:
    """The picture from its tiles, each `factor` times the grid's tile, in the order of `grid.boxes()`.

    Of two neighbours the later one covers, but for a linear ramp over its first `overlap` pixels; first within the
    rows, then between them.
    """
    count = len(grid.columns)
    rows = [_joined(tiles[i : i + count], grid.columns, grid.overlap, factor) for i in range(0, len(tiles), count)]
    upright = [row.transpose(1, 0, 2) for row in rows]
    return np.ascontiguousarray(_joined(upright, grid.rows, grid.overlap, factor).transpose(1, 0, 2))


def _spread(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    step = (length - tile) / (count - 1) if count > 1 else 0
    return tuple(min(int(i * step), length - tile) for i in range(count))


def _joined(parts: list[Picture], starts: tuple[int, ...], overlap: int, factor: int) -> Picture:
    """Parts side by side in x. Pillow's paste blends in 8 bits, as A1111's does."""
    height, width = parts[0].shape[:2]
    canvas = Image.new("RGB", (starts[-1] * factor + width, height))
    canvas.paste(Image.fromarray(np.ascontiguousarray(parts[0])), (0, 0))
    blend = overlap * factor
    ramp = np.arange(blend, dtype=np.float32) * (255 / max(1, blend))
    mask = Image.fromarray(np.broadcast_to(ramp.astype(np.uint8), (height, blend)).copy())
    for start, part in zip(starts[1:], parts[1:], strict=True):
        image = Image.fromarray(np.ascontiguousarray(part))
        canvas.paste(image.crop((0, 0, blend, height)), (start * factor, 0), mask)
        canvas.paste(image.crop((blend, 0, width, height)), (start * factor + blend, 0))
    return np.asarray(canvas)
