"""A grid: cells in rows and columns, titles above and at the left, and the grids of a third axis side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image as Pictures
from PIL import ImageDraw

from bot.domain.scripts import GridLayout, Title, TitlePart
from bot.grids.titles import BACKGROUND, Block, block_of, draw_block, font_size

__all__ = ["draw_grid"]

Size = tuple[int, int]
BLANK = (0, 0, 0)
_WORDS = (153, 153, 153)


@dataclass(frozen=True, slots=True)
class _Geometry:
    """In pixels. A page is a grid with its titles; pages stand side by side below their own titles."""

    cell: Size
    margin: int
    left: int
    top: int
    page: Size
    above: int
    whole: Size


def draw_grid(
    layout: GridLayout,
    read: Callable[[int], bytes | None],
    cell: Size,
    blank: Mapping[int, str],
    *,
    scale: float = 1.0,
) -> Pictures.Image:
    """`cell` is the size of the cells in pixels. Pictures are brought to `scale` of their sizes, made to fit where that
    is not enough, and centred. `read` gives the file of a place's picture, or None: that place is black, and `blank`
    says why.

    Holds the whole grid and one cell at a time. How large the grid may become is for the caller to decide, from
    `layout` and `cell`: titles add at most three quarters of a cell to the width, and to the height what they need.
    """
    rows = _blocks(layout.row_titles, layout, cell, cell[0] * 3 // 4, cell[1])
    columns = _blocks(layout.column_titles, layout, cell, cell[0])
    spacing = font_size(*cell) // 2
    left = cell[0] * 3 // 4 if any(block.lines for block in rows) else 0
    top = max((block.height for block in columns), default=0)
    top += 2 * spacing if top else 0
    page = (
        layout.columns * cell[0] + (layout.columns - 1) * layout.margin_px + left,
        layout.rows * cell[1] + (layout.rows - 1) * layout.margin_px + top,
    )
    pages = _blocks(layout.page_titles, layout, page, page[0])
    above = max((block.height for block in pages), default=0)
    above += 2 * (font_size(*page) // 2) if above else 0
    whole = (page[0] * layout.pages + layout.margin_px * (layout.pages - 1), page[1] + above)
    at = _Geometry(cell, layout.margin_px, left, top, page, above, whole)
    picture = Pictures.new("RGB", whole, BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for number in range(layout.pages):
        _draw_titles(draw, at, number, columns, rows, pages)
    for place in range(layout.places):
        data = read(place)
        shown = None if data is None else _opened(data, cell, scale)
        _draw_cell(picture, _corner(at, layout, place), cell, shown, blank.get(place, ""))
    return picture


def _blocks(
    titles: Sequence[Title], layout: GridLayout, of: Size, width: int, height: int | None = None
) -> list[Block]:
    if not layout.legend:
        return []
    return [block_of(title, font_size(*of), width, height) for title in titles]


def _corner(at: _Geometry, layout: GridLayout, place: int) -> tuple[int, int]:
    page, rest = divmod(place, layout.columns * layout.rows)
    row, column = divmod(rest, layout.columns)
    x = page * (at.page[0] + at.margin) + at.left + column * (at.cell[0] + at.margin)
    return x, at.above + at.top + row * (at.cell[1] + at.margin)


def _draw_titles(
    draw: ImageDraw.ImageDraw, at: _Geometry, page: int, columns: list[Block], rows: list[Block], pages: list[Block]
) -> None:
    start = page * (at.page[0] + at.margin)
    if page < len(pages):
        draw_block(draw, pages[page], (start + at.page[0] / 2, at.above / 2))
    for number, block in enumerate(columns):
        x = start + at.left + number * (at.cell[0] + at.margin) + at.cell[0] / 2
        draw_block(draw, block, (x, at.above + at.top / 2))
    for number, block in enumerate(rows):
        y = at.above + at.top + number * (at.cell[1] + at.margin) + at.cell[1] / 2
        draw_block(draw, block, (start + at.left / 2, y))


def _draw_cell(
    whole: Pictures.Image, corner: tuple[int, int], cell: Size, picture: Pictures.Image | None, why: str
) -> None:
    x, y = corner
    if picture is None or picture.size != cell:
        whole.paste(BLANK, (x, y, x + cell[0], y + cell[1]))
    if picture is not None:
        # Unlike shapes stand in the middle of the largest.
        whole.paste(picture, (x + (cell[0] - picture.width) // 2, y + (cell[1] - picture.height) // 2))
    elif why:
        block = block_of((TitlePart(why),), font_size(*cell), cell[0] * 9 // 10, cell[1])
        draw_block(ImageDraw.Draw(whole), block, (x + cell[0] / 2, y + cell[1] / 2), _WORDS)


def _opened(data: bytes, cell: Size, scale: float) -> Pictures.Image:
    with Pictures.open(io.BytesIO(data)) as found:
        picture = found.convert("RGB")
    scale = min(scale, cell[0] / picture.width, cell[1] / picture.height)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Pictures.Resampling.LANCZOS)
    return picture
