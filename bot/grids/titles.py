"""Titles of a grid, wrapped and shrunk until they fit their place (behaviours §14.6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import ImageDraw

from bot.domain.scripts import Title
from bot.grids.fonts import Setting, set_text

__all__ = ["ACTIVE", "BACKGROUND", "INACTIVE", "Block", "block_of", "draw_block", "font_size"]

ACTIVE = (0, 0, 0)
INACTIVE = (153, 153, 153)
BACKGROUND = (255, 255, 255)
FONT_MIN_PX, FONT_MAX_PX = 8, 160
TITLE_CHARS = 300
"""Of one part."""
LINES_MAX = 24
_CUT = "…"


@dataclass(frozen=True, slots=True)
class Line:
    setting: Setting
    size_px: int
    active: bool

    @property
    def height(self) -> int:
        return round(self.size_px * 0.85)


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one title, below each other."""

    lines: tuple[Line, ...] = ()
    spacing: int = 0

    @property
    def height(self) -> int:
        return sum(line.height for line in self.lines) + self.spacing * max(0, len(self.lines) - 1)


def font_size(width: int, height: int) -> int:
    """For titles of cells of that size in pixels."""
    return min(max((width + height) // 25, FONT_MIN_PX), FONT_MAX_PX)


def block_of(title: Title, size_px: int, width: int, height: int | None = None) -> Block:
    """Every part wrapped at its words to `width` pixels; a word that is wider is shrunk, down to half the size, and
    then cut. With `height` the whole is made smaller until it fits that, too."""
    while True:
        lines = [
            Line(setting, px, part.active)
            for part in title
            for setting, px in _wrapped(_clean(part.text), size_px, width)
        ]
        if len(lines) > LINES_MAX:
            lines = [*lines[: LINES_MAX - 1], Line(set_text(_CUT, size_px), size_px, lines[-1].active)]
        block = Block(tuple(lines), size_px // 2)
        if height is None or block.height <= height or size_px <= FONT_MIN_PX:
            return block
        size_px = max(FONT_MIN_PX, size_px * 4 // 5)


def draw_block(
    draw: ImageDraw.ImageDraw, block: Block, middle: tuple[float, float], colour: tuple[int, int, int] = ACTIVE
) -> None:
    """Centred at `middle`; what is active in that colour."""
    x, y = middle[0], middle[1] - block.height / 2
    for line in block.lines:
        centre = y + line.height / 2
        left = x - line.setting.width / 2
        for run in line.setting.runs:
            draw.text((left, centre), run.text, font=run.font, fill=colour if line.active else INACTIVE, anchor="lm")
            left += run.font.getlength(run.text)
        if not line.active and line.setting.width:
            half = line.setting.width / 2
            thick = min(4, max(1, line.size_px // 8))
            draw.line((x - half, centre, x + half, centre), fill=INACTIVE, width=thick)
        y += line.height + block.spacing


def _clean(text: str) -> str:
    """On one line and bounded; what somebody typed may hold anything."""
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 4 * TITLE_CHARS]).split())
    return shown if len(shown) <= TITLE_CHARS else shown[: TITLE_CHARS - 1] + _CUT


def _wrapped(text: str, size_px: int, width: int) -> Iterator[tuple[Setting, int]]:
    for words in _lines(text.split(" "), size_px, width):
        setting = set_text(words, size_px)
        if setting.width <= width:
            yield setting, size_px
            continue
        shrunk = int(size_px * width / setting.width)
        least = max(FONT_MIN_PX, size_px // 2)
        if shrunk >= least:
            yield set_text(words, shrunk), shrunk
        else:
            yield from ((set_text(part, least), least) for part in _cut(words, least, width))


def _lines(words: Sequence[str], size_px: int, width: int) -> Iterator[str]:
    now = ""
    for word in words:
        longer = f"{now} {word}".strip()
        if not now or set_text(longer, size_px).width <= width:
            now = longer
        else:
            yield now
            now = word
    if now:
        yield now


def _cut(text: str, size_px: int, width: int) -> Iterator[str]:
    """One word too long for a line, in pieces of about equal length."""
    pieces = max(1, -(-int(set_text(text, size_px).width) // max(1, width)))
    step = max(1, -(-len(text) // pieces))
    yield from (text[start : start + step] for start in range(0, len(text), step))
