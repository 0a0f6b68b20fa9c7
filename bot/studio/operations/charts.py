"""Simple charts, drawn with Pillow: bars, lines and ranked bars, as PNG. For a thread.

Why no plotting library: matplotlib, and what is built on it, needs numpy, which this process must not load; the pure
ones (pygal, leather) make SVG, which Discord does not show, and turning that into a picture needs native libraries
and fonts that a server may not have. Pillow is here already and brings a font of its own.

Colours are Okabe and Ito's, apart for colour-blind eyes too, on a ground of our own that is read in a dark and in a
light Discord alike (contrast of every text at least 4.5 : 1).
"""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from PIL import Image, ImageDraw, ImageFont

__all__ = ["GROUND", "INK", "PALETTE", "Line", "Stack", "bar_chart", "fold", "line_chart", "nice_top", "ranked_chart"]

WIDTH, HEIGHT = 1000, 420
ROW_PX = 40
SHARP = 2
"""Drawn this much larger, then made smaller: smooth edges."""
GROUND = (30, 31, 36)
INK = (235, 236, 240)
FAINT = (160, 163, 172)
GRID = (62, 64, 72)
PALETTE = ((86, 180, 233), (230, 159, 0), (0, 178, 131), (240, 228, 66), (213, 112, 56), (204, 121, 167))
LEFT, RIGHT, TOP, BOTTOM = 78, 24, 64, 46
TITLE_PX, TEXT_PX = 24, 17
TICKS = 4
NAME_PX = 250


@dataclass(frozen=True, slots=True)
class Stack:
    """One part of stacked bars: a value for each place."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Line:
    """None is a gap."""

    name: str
    values: Sequence[float | None]


Format = Callable[[float], str]


class _Canvas:
    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width * SHARP, height * SHARP), GROUND)
        self._draw = ImageDraw.Draw(self._image)
        self._fonts: dict[int, Any] = {}
        self.size = (width, height)

    def text(
        self, x: float, y: float, text: str, size_px: int = TEXT_PX, anchor: str = "la", fill: tuple[int, ...] = INK
    ) -> None:
        """`anchor` is Pillow's: l, m or r, then a (ascender) or m (middle)."""
        font, size = self._font(size_px), size_px * SHARP
        folded, marks = fold(text)
        ascent, descent = font.getmetrics()
        left = x * SHARP - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * self._draw.textlength(folded, font=font)
        base = y * SHARP + (ascent if anchor[1] == "a" else (ascent - descent) / 2)
        self._draw.text((left, base), folded, fill=fill, font=font, anchor="ls")
        for index, mark in marks:
            start = self._draw.textlength(folded[:index], font=font)
            end = self._draw.textlength(folded[: index + 1], font=font)
            capital = folded[index].isupper()
            self._mark(mark, left + (start + end) / 2, base - size * (0.80 if capital else 0.60), size, fill)

    def _mark(self, mark: str, x: float, y: float, size: int, fill: tuple[int, ...]) -> None:
        """An accent over a letter whose top middle is (x, y): Pillow's own font has none."""
        reach, thick = size * 0.12, max(1, round(size * 0.075))
        match mark:
            case "\u0301":
                self._draw.line([(x - reach * 0.4, y), (x + reach * 0.8, y - reach)], fill=fill, width=thick)
            case "\u0300":
                self._draw.line([(x - reach * 0.8, y - reach), (x + reach * 0.4, y)], fill=fill, width=thick)
            case "\u0302":
                peak = [(x - reach, y), (x, y - reach), (x + reach, y)]
                self._draw.line(peak, fill=fill, width=thick, joint="curve")
            case "\u0303":
                wave = [(x - reach * 1.3, y), (x - reach * 0.5, y - reach * 0.6), (x + reach * 0.5, y - reach * 0.1)]
                self._draw.line([*wave, (x + reach * 1.3, y - reach * 0.7)], fill=fill, width=thick, joint="curve")
            case "\u0308":
                r = thick * 0.65
                for at in (x - reach * 0.8, x + reach * 0.8):
                    self._draw.ellipse((at - r, y - reach * 0.5 - r, at + r, y - reach * 0.5 + r), fill=fill)
            case _:
                pass  # the letter alone can be read

    def length(self, text: str, size_px: int = TEXT_PX) -> float:
        return float(self._draw.textlength(fold(text)[0], font=self._font(size_px))) / SHARP

    def fitting(self, text: str, width_px: float, size_px: int = TEXT_PX) -> str:
        if self.length(text, size_px) <= width_px:
            return text
        while text and self.length(text + "…", size_px) > width_px:
            text = text[:-1]
        return text + "…"

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, ...]) -> None:
        if x1 > x0 and y1 > y0:
            edges = (x0 * SHARP, y0 * SHARP, max(x0 * SHARP, x1 * SHARP - 1), max(y0 * SHARP, y1 * SHARP - 1))
            self._draw.rectangle(edges, fill=fill)

    def line(self, points: Sequence[tuple[float, float]], fill: tuple[int, ...], width_px: float = 1) -> None:
        scaled = [(x * SHARP, y * SHARP) for x, y in points]
        self._draw.line(scaled, fill=fill, width=round(width_px * SHARP), joint="curve")

    def dot(self, x: float, y: float, radius_px: float, fill: tuple[int, ...]) -> None:
        r = radius_px * SHARP
        self._draw.ellipse((x * SHARP - r, y * SHARP - r, x * SHARP + r, y * SHARP + r), fill=fill)

    def png(self) -> bytes:
        out = io.BytesIO()
        self._image.resize(self.size, Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
        return out.getvalue()

    def _font(self, size_px: int) -> Any:
        if size_px not in self._fonts:
            self._fonts[size_px] = cast("Any", ImageFont).load_default(size_px * SHARP)
        return self._fonts[size_px]


def fold(text: str) -> tuple[str, list[tuple[int, str]]]:
    """The letters that Pillow's own font knows, "?" for others, and which of them carry which accent."""
    letters: list[str] = []
    marks: list[tuple[int, str]] = []
    for sign in unicodedata.normalize("NFD", text):
        if unicodedata.combining(sign):
            if letters:
                marks.append((len(letters) - 1, sign))
        elif sign.isascii() or sign in "…–—·":
            letters.append(sign if sign.isprintable() else " ")
        else:
            letters.append("?")
    return "".join(letters), marks


def nice_top(highest: float) -> float:
    """A round number at or above it, which `TICKS` parts of make good marks."""
    if highest <= 0 or not math.isfinite(highest):
        return 1.0
    step = highest / TICKS
    power = 10.0 ** math.floor(math.log10(step))
    for factor in (1, 2, 2.5, 5, 10):
        if step <= factor * power * (1 + 1e-9):
            return factor * power * TICKS
    return 10 * power * TICKS


def bar_chart(title: str, places: Sequence[str], stacks: Sequence[Stack], shown: Format, nothing: str) -> bytes:
    """Bars side by side, each of one or more parts on each other. `nothing` is said where all is zero."""
    canvas = _Canvas(WIDTH, HEIGHT)
    sums = [sum(stack.values[index] for stack in stacks) for index in range(len(places))]
    top = nice_top(max(sums, default=0.0))
    _frame(canvas, title, top, shown, [stack.name for stack in stacks] if len(stacks) > 1 else [])
    if not any(sums):
        _nothing(canvas, nothing)
        return canvas.png()
    slot = (WIDTH - LEFT - RIGHT) / len(places)
    thick = max(1.0, slot * 0.72)
    for index in range(len(places)):
        x0 = LEFT + slot * index + (slot - thick) / 2
        base = float(HEIGHT - BOTTOM)
        for number, stack in enumerate(stacks):
            height = (HEIGHT - TOP - BOTTOM) * max(0.0, stack.values[index]) / top
            canvas.box(x0, base - height, x0 + thick, base, PALETTE[number % len(PALETTE)])
            base -= height
    _places(canvas, places, lambda index: LEFT + slot * (index + 0.5))
    return canvas.png()


def line_chart(title: str, places: Sequence[str], lines: Sequence[Line], shown: Format, nothing: str) -> bytes:
    canvas = _Canvas(WIDTH, HEIGHT)
    known = [value for line in lines for value in line.values if value is not None]
    top = nice_top(max(known, default=0.0))
    _frame(canvas, title, top, shown, [line.name for line in lines])
    if not known:
        _nothing(canvas, nothing)
        return canvas.png()
    slot = (WIDTH - LEFT - RIGHT) / len(places)
    for number, line in enumerate(lines):
        colour = PALETTE[number % len(PALETTE)]
        run: list[tuple[float, float]] = []
        for index, value in enumerate([*line.values, None]):
            if value is not None:
                y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top
                run.append((LEFT + slot * (index + 0.5), y))
                continue
            if len(run) > 1:
                canvas.line(run, colour, 3)
            for point in run:
                canvas.dot(*point, 4 if len(places) <= 62 else 2, colour)
            run = []
    _places(canvas, places, lambda index: LEFT + slot * (index + 0.5))
    return canvas.png()


def ranked_chart(title: str, rows: Sequence[tuple[str, float]], shown: Format, nothing: str) -> bytes:
    """Names with lying bars, in the order given."""
    canvas = _Canvas(WIDTH, TOP + ROW_PX * max(3, len(rows)) + 20)
    canvas.text(LEFT / 3, 18, title, TITLE_PX)
    top = max((value for _, value in rows), default=0.0)
    if top <= 0:
        _nothing(canvas, nothing)
        return canvas.png()
    left, right = NAME_PX + 20, WIDTH - 130
    for number, (name, value) in enumerate(rows):
        y = TOP + ROW_PX * number
        canvas.text(NAME_PX, y + ROW_PX / 2, canvas.fitting(name, NAME_PX - LEFT / 3), anchor="rm")
        end = left + (right - left) * max(0.0, value) / top
        canvas.box(left, y + 6, max(end, left + 2), y + ROW_PX - 6, PALETTE[0])
        canvas.text(max(end, left + 2) + 10, y + ROW_PX / 2, shown(value), anchor="lm", fill=INK)
    return canvas.png()


def _frame(canvas: _Canvas, title: str, top: float, shown: Format, legend: Sequence[str]) -> None:
    canvas.text(LEFT / 3, 18, title, TITLE_PX)
    x = float(WIDTH - RIGHT)
    for number in reversed(range(len(legend))):
        x -= canvas.length(legend[number])
        canvas.text(x, 24, legend[number])
        canvas.box(x - 22, 26, x - 8, 40, PALETTE[number % len(PALETTE)])
        x -= 44
    for tick in range(TICKS + 1):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * tick / TICKS
        canvas.line([(LEFT, y), (WIDTH - RIGHT, y)], GRID)
        canvas.text(LEFT - 10, y, shown(top * tick / TICKS), anchor="rm", fill=FAINT)


def _places(canvas: _Canvas, places: Sequence[str], x_of: Callable[[int], float]) -> None:
    """As many names below the bars as fit."""
    widest = max(canvas.length(place) for place in places) + 18
    every = max(1, math.ceil(widest * len(places) / (WIDTH - LEFT - RIGHT)))
    for index in range(0, len(places), every):
        canvas.text(x_of(index), HEIGHT - BOTTOM + 12, places[index], anchor="ma", fill=FAINT)


def _nothing(canvas: _Canvas, text: str) -> None:
    width, height = canvas.size
    canvas.text(width / 2, height / 2, text, TITLE_PX, anchor="mm", fill=FAINT)
