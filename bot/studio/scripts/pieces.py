"""Into which pictures a grid is cut, so that Discord shows them and a phone opens them. Pure.

A grid goes whole, all its pages side by side, as long as that is one picture of a bearable size; else as few pages a
picture as there must be; else a page in blocks of whole cells. Only what would still be too much is drawn smaller:
every cell can be had in its own size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.domain.scripts import GridLayout, Title

__all__ = ["PIECES_MAX", "PIECE_PIXELS", "PIECE_SIDE", "Piece", "pieces_of"]

PIECES_MAX = 10
"""Pictures of a message."""
PIECE_SIDE = 8192
PIECE_PIXELS = 24_000_000
"""Titles come on top: they are about a fifth of a small grid."""
_SMALLER = 0.9

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """One picture of a grid: a grid by itself."""

    layout: GridLayout
    places: tuple[int, ...]
    """For each place of `layout`, which place of the whole grid it shows."""
    cell: Size
    """In pixels."""
    page: int | None
    """Which page it shows; None: several, or all."""


def pieces_of(layout: GridLayout, cell: Size) -> list[Piece]:
    """In reading order. `cell` is the size of the cells' pictures, the largest of each side."""
    while True:
        found = _whole(layout, cell) or _by_pages(layout, cell) or list(_blocks(layout, cell))
        if len(found) <= PIECES_MAX:
            break
        cell = (max(8, int(cell[0] * _SMALLER)), max(8, int(cell[1] * _SMALLER)))
        layout = replace(layout, margin_px=int(layout.margin_px * _SMALLER))
    if layout.sub_grids and layout.pages > 1 and len(found) == 1:
        found += [_pages(layout, cell, page, page + 1) for page in range(layout.pages)][: PIECES_MAX - 1]
    return found


def _fits(layout: GridLayout, columns: int, rows: int, cell: Size) -> bool:
    width = columns * (cell[0] + layout.margin_px)
    height = rows * (cell[1] + layout.margin_px)
    return max(width, height) <= PIECE_SIDE and width * height <= PIECE_PIXELS


def _whole(layout: GridLayout, cell: Size) -> list[Piece]:
    if not _fits(layout, layout.columns * layout.pages, layout.rows, cell):
        return []
    return [_pages(layout, cell, 0, layout.pages)]


def _by_pages(layout: GridLayout, cell: Size) -> list[Piece]:
    """As many pages a picture as fit, spread evenly."""
    together = next(
        (n for n in range(layout.pages - 1, 0, -1) if _fits(layout, layout.columns * n, layout.rows, cell)), 0
    )
    if not together:
        return []
    count = math.ceil(layout.pages / together)
    bounds = [round(n * layout.pages / count) for n in range(count + 1)]
    return [_pages(layout, cell, start, end) for start, end in itertools.pairwise(bounds)]


def _blocks(layout: GridLayout, cell: Size) -> Iterator[Piece]:
    across = next((n for n in range(layout.columns, 1, -1) if _fits(layout, n, 1, cell)), 1)
    down = next((n for n in range(layout.rows, 1, -1) if _fits(layout, across, n, cell)), 1)
    # Spread evenly: as many blocks, of about one size.
    across = math.ceil(layout.columns / math.ceil(layout.columns / across))
    down = math.ceil(layout.rows / math.ceil(layout.rows / down))
    for page in range(layout.pages):
        for top in range(0, layout.rows, down):
            for left in range(0, layout.columns, across):
                columns = range(left, min(left + across, layout.columns))
                yield _cut(layout, cell, range(page, page + 1), range(top, min(top + down, layout.rows)), columns)


def _pages(layout: GridLayout, cell: Size, start: int, end: int) -> Piece:
    return _cut(layout, cell, range(start, end), range(layout.rows), range(layout.columns))


def _cut(layout: GridLayout, cell: Size, pages: range, rows: range, columns: range) -> Piece:
    places = tuple(
        column + row * layout.columns + page * layout.columns * layout.rows
        for page in pages
        for row in rows
        for column in columns
    )
    part = replace(
        layout,
        columns=len(columns),
        rows=len(rows),
        pages=len(pages),
        column_titles=_titles(layout.column_titles, columns),
        row_titles=_titles(layout.row_titles, rows),
        page_titles=_titles(layout.page_titles, pages),
        sub_grids=False,
    )
    return Piece(part, places, cell, pages[0] if len(pages) == 1 and layout.pages > 1 else None)


def _titles(titles: tuple[Title, ...], of: range) -> tuple[Title, ...]:
    return titles[of.start : of.stop]
