"""The picture of a loss curve. CPU-bound: off the loop."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

__all__ = ["curve_picture"]

WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 104, 16, 20, 44
_PAPER, _GRID, _INK, _RAW, _LINE, _SAVED = (
    (43, 45, 49), (78, 80, 88), (219, 222, 225), (88, 101, 242), (35, 165, 90), (240, 178, 50),
)  # fmt: skip
FONT_PX = 26
"""To be read on a phone, which shows the whole picture at a third of its width."""
SMOOTHED = 9
"""Points that the thick line is the mean of."""


def curve_picture(curve: Sequence[float], step: int, saved: Sequence[int]) -> bytes:
    """A PNG. `curve` is the loss over the first `step` steps, in even distances; `saved` are steps at which a file was
    saved."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=FONT_PX)
    low, high = _bounds(curve)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - TOP)

    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        draw.line((LEFT, y(value), right, y(value)), _GRID)
        draw.text((LEFT - 6, y(value)), f"{value:.2g}", _INK, font, anchor="rm")
    for at in saved:
        if 0 < at <= step:
            x = LEFT + at / step * (right - LEFT)
            draw.line((x, TOP, x, bottom), _SAVED, 2)
    draw.text((LEFT, HEIGHT - 8), "0", _INK, font, anchor="ls")
    draw.text((right, HEIGHT - 8), str(step), _INK, font, anchor="rs")
    if len(curve) > 1:
        xs = [LEFT + n / (len(curve) - 1) * (right - LEFT) for n in range(len(curve))]
        draw.line([*zip(xs, map(y, curve), strict=True)], _RAW, 2)
        draw.line([*zip(xs, map(y, _smoothed(curve)), strict=True)], _LINE, 5, joint="curve")
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _bounds(curve: Sequence[float]) -> tuple[float, float]:
    """A little room above and below; never nothing between them. No loss is below zero."""
    low, high = min(curve, default=0.0), max(curve, default=1.0)
    room = max((high - low) * 0.08, 1e-6)
    return (max(0.0, low - room) if low >= 0 else low - room), high + room


def _smoothed(curve: Sequence[float]) -> list[float]:
    half = min(SMOOTHED, len(curve)) // 2
    found: list[float] = []
    for at in range(len(curve)):
        near = curve[max(0, at - half) : at + half + 1]
        found.append(sum(near) / len(near))
    return found
