"""Rectangles as people write them: a named arrangement, a small map, or percents."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bot.domain.mentions import spoken
from bot.domain.values import decimal
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import REGIONS_MAX, Region

__all__ = [
    "ARRANGEMENTS", "BACKGROUND_WEIGHT", "WEIGHT", "arranged", "background", "for_count", "percents", "read_layout",
    "read_rectangle", "read_weight", "rectangle_text",
]  # fmt: skip

BACKGROUND_WEIGHT, WEIGHT = 0.2, 0.8
"""The extension's own: together they give each place the whole of the prompts."""
ARRANGEMENTS: tuple[str, ...] = (
    "left|right", "top|bottom", "thirds", "2x2", "columns 4", "rows 3", "rows 4", "3x2", "2x3", "middle",
    "1 1 2 / 1 1 3", "1 2 2 / 1 3 3", "1 1 / 2 3", "1 2 / 3 3",
)  # fmt: skip
"""What the list offers; `read_layout` takes more."""
TEXT_CHARS = 1000
MOST = REGIONS_MAX - 1
"""One of them is the background."""
_NAMED = {
    "left|right": (1, 2), "left right": (1, 2), "top|bottom": (2, 1), "top bottom": (2, 1), "thirds": (1, 3),
    "halves": (1, 2), "quarters": (2, 2),
}  # fmt: skip
_LINES = re.compile(r"(?:(columns|rows)\s*(\d{1,2})|(\d{1,2})\s*(columns|rows))")
_GRID = re.compile(r"(\d{1,2})\s*[x×]\s*(\d{1,2})")
_NUMBERS = re.compile(r"[^\s,;%]+")


def background(weight: float = BACKGROUND_WEIGHT) -> Region:
    return Region(weight=weight)


def read_layout(text: str) -> tuple[Region, ...]:
    """`left|right`, `columns 4`, `3x2` (columns by rows), a map of numbers like `1 1 2 / 1 1 3`, or a rectangle in
    percents for each region, `0 0 50 100; 50 0 50 100`. Without the background.

    Raises UserFacingError: `regions_layout`, `regions_many`, `regions_map`, and those of `read_rectangle`.
    """
    typed = " ".join(text.casefold().split())
    if not typed or len(typed) > TEXT_CHARS:
        raise UserFacingError("regions_layout", text=spoken(text[:60]))
    if typed in _NAMED:
        return arranged(*_NAMED[typed])
    if typed == "middle":
        return (_of_percents(25, 25, 50, 50, WEIGHT),)
    if found := _LINES.fullmatch(typed):
        count, across = int(found[2] or found[3]), "columns" in (found[1], found[4])
        return arranged(1, count) if across else arranged(count, 1)
    if found := _GRID.fullmatch(typed):
        return arranged(int(found[2]), int(found[1]))
    if "/" in typed:
        return _read_map(typed)
    if ";" in typed or len(typed.split()) == 4:
        entries = [entry for entry in typed.split(";") if entry.strip()]
        _bounded(len(entries))
        return tuple(read_rectangle(entry) for entry in entries)
    raise UserFacingError("regions_layout", text=spoken(text[:60]))


def arranged(rows: int, columns: int) -> tuple[Region, ...]:
    """All cells of a grid, in reading order. Raises UserFacingError (`regions_many`)."""
    _bounded(rows * columns)
    return tuple(
        Region(rows=rows, columns=columns, top=row, bottom=row + 1, left=column, right=column + 1, weight=WEIGHT)
        for row in range(rows)
        for column in range(columns)
    )


def for_count(count: int) -> tuple[Region, ...]:
    """What so many regions stand in where nobody says: side by side, or in a square."""
    return arranged(2, 2) if count == 4 else arranged(1, max(1, count))


def read_rectangle(text: str, weight: float = WEIGHT) -> Region:
    """`x y width height` in percent of the picture, from its upper left corner. Raises UserFacingError:
    `regions_rectangle`, `regions_empty`, `regions_outside`."""
    typed = spoken(" ".join(text.split())[:40])
    words = text.replace("%", " ").split()
    if len(words) != 4:
        words = _NUMBERS.findall(text)
    try:
        x, y, width, height = map(_signed, words)
    except ValueError as error:
        raise UserFacingError("regions_rectangle", text=typed) from error
    if width <= 0 or height <= 0:
        raise UserFacingError("regions_empty", text=typed)
    if min(x, y) < 0 or max(x + width, y + height) > 100.01:
        raise UserFacingError("regions_outside", text=typed)
    return _of_percents(x, y, min(width, 100 - x), min(height, 100 - y), weight)


def read_weight(text: str) -> float:
    """Raises UserFacingError (`regions_weight`)."""
    try:
        weight = _signed(text.strip())
    except ValueError:
        weight = math.nan
    if not -10 <= weight <= 10:
        raise UserFacingError("regions_weight", text=spoken(text.strip()[:20]))
    return weight


def percents(region: Region) -> tuple[float, float, float, float]:
    """x, y, width and height, held to the picture."""
    left, right = (min(100.0, 100 * edge / region.columns) for edge in (region.left, region.right))
    top, bottom = (min(100.0, 100 * edge / region.rows) for edge in (region.top, region.bottom))
    return left, top, max(0.0, right - left), max(0.0, bottom - top)


def rectangle_text(region: Region) -> str:
    """As `read_rectangle` takes it."""
    return " ".join(f"{round(number, 2):g}" for number in percents(region))


def _of_percents(x: float, y: float, width: float, height: float, weight: float) -> Region:
    columns, left, right = _cells(x, x + width)
    rows, top, bottom = _cells(y, y + height)
    return Region(rows=rows, columns=columns, top=top, bottom=bottom, left=left, right=right, weight=weight)


def _cells(start: float, end: float) -> tuple[float, float, float]:
    """The coarsest grid on whose lines both edges lie, so that few cells are rounded at most."""
    if start == int(start) and end == int(end):
        step = math.gcd(100, int(start), int(end))
        return 100 / step, start / step, end / step
    return 100.0, start, end


def _read_map(text: str) -> tuple[Region, ...]:
    """Every number's cells must be a full rectangle; a dot is background."""
    rows = [[*row.replace(" ", "")] if " " not in row.strip() else row.split() for row in text.split("/")]
    names = {name for row in rows for name in row if name != "."}
    columns = len(rows[0])
    if not columns or any(len(row) != columns for row in rows):
        raise UserFacingError("regions_map", text=spoken(text[:60]))
    if not names:
        raise UserFacingError("regions_map", text=spoken(text[:60]))
    _bounded(len(names))
    if names != {str(number) for number in range(1, len(names) + 1)}:
        raise UserFacingError("regions_map", text=spoken(text[:60]))
    return tuple(_of_map(rows, str(number), text) for number in range(1, len(names) + 1))


def _of_map(rows: Sequence[Sequence[str]], name: str, text: str) -> Region:
    cells = [(y, x) for y, row in enumerate(rows) for x, found in enumerate(row) if found == name]
    top, bottom = min(y for y, _ in cells), max(y for y, _ in cells) + 1
    left, right = min(x for _, x in cells), max(x for _, x in cells) + 1
    if len(cells) != (bottom - top) * (right - left):
        raise UserFacingError("regions_map", text=spoken(text[:60]))
    return Region(
        rows=len(rows), columns=len(rows[0]), top=top, bottom=bottom, left=left, right=right, weight=WEIGHT
    )  # fmt: skip


def _signed(text: str) -> float:
    """Raises ValueError for what is no plain number, such as NaN."""
    return -decimal(text[1:]) if text[:1] in ("-", "−") else decimal(text)


def _bounded(count: int) -> None:
    if not 1 <= count <= MOST:
        raise UserFacingError("regions_many", most=MOST)
