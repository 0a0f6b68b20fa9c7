"""The picture of a layout: coloured, numbered rectangles with the beginnings of their words. CPU-bound: off the
loop."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from bot.domain.layouts.parts import Arrangement
from bot.domain.layouts.rectangles import percents
from bot.domain.lora_tags import without_loras
from gpu_worker.language.regions import is_whole
from gpu_worker.protocol.specs import REGIONS_MAX

__all__ = ["COLOURS", "layout_picture", "marker"]

LONG_PX = 768
COLOURS = ("🟥", "🟦", "🟩", "🟨", "🟪", "🟧", "🟫")
"""What a region is called by beside its number, in the colours of the picture."""
_RGB = (
    (221, 46, 68), (85, 172, 238), (120, 177, 89), (253, 203, 88), (170, 142, 214), (244, 144, 12), (193, 105, 79),
)  # fmt: skip
_PAPER, _INK, _GRID = (43, 45, 49), (255, 255, 255), (78, 80, 88)
_TEXT_CHARS = 160
_MOST_RATIO = 4.0


@dataclass(frozen=True, slots=True)
class _Box:
    left: int
    top: int
    right: int
    bottom: int


def marker(number: int) -> str:
    """Of a region, counted from 0; the background, and whatever covers all, is grey in the picture."""
    return COLOURS[(number - 1) % len(COLOURS)] if number else "⬛"


def layout_picture(arrangement: Arrangement, width: int, height: int) -> bytes:
    """A PNG in the shape of a picture of `width` x `height`. Regions that cover everything are its paper."""
    size = _size(width, height)
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture, "RGBA")
    for part in range(1, 4):
        draw.line((size[0] * part / 4, 0, size[0] * part / 4, size[1]), _GRID)
        draw.line((0, size[1] * part / 4, size[0], size[1] * part / 4), _GRID)
    boxes: list[tuple[int, _Box, str]] = []
    papers: list[str] = []
    for number, part in enumerate(arrangement.parts[:REGIONS_MAX]):
        words = _drawable(without_loras(part.text))
        if is_whole(part.region):
            papers.append(f"{number}: {words}")
            continue
        x, y, across, along = (share / 100 for share in percents(part.region))
        box = _Box(
            round(x * size[0]), round(y * size[1]), round((x + across) * size[0]), round((y + along) * size[1])
        )  # fmt: skip
        if box.right - box.left > 1 and box.bottom - box.top > 1:
            boxes.append((number, box, words))
    for number, box, _ in boxes:
        colour = _RGB[(number - 1) % len(_RGB)] if number else _GRID
        # What overlaps stays visible below.
        draw.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), (*colour, 150), (*colour, 255), 4)
    for number, box, words in boxes:
        _label(draw, box, str(number), words)
    if papers:
        line = _Box(8, size[1] - 34, size[0] - 8, size[1] - 6)
        font = ImageFont.load_default(size=16)
        text = _shortened(draw, " · ".join(papers), font, line.right - line.left)
        draw.rectangle((0, line.top - 4, size[0], size[1]), (0, 0, 0, 150))
        draw.text((line.left, line.top), text, _INK, font)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _label(draw: ImageDraw.ImageDraw, box: _Box, number: str, words: str) -> None:
    """The number large in the middle, the words below it in as many lines as there is room for."""
    width, height = box.right - box.left, box.bottom - box.top
    large = ImageFont.load_default(size=max(12, min(72, width // 3, height // 3)))
    small = ImageFont.load_default(size=max(11, min(20, width // 10)))
    lines = _wrapped(draw, words[:_TEXT_CHARS], small, width - 16)
    line_px = round(small.size * 1.25) if isinstance(small, ImageFont.FreeTypeFont) else 14
    room = max(0, int((height / 2 - 16) // line_px))
    middle = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    up = min(len(lines), room) * line_px / 2
    draw.text((middle[0], middle[1] - up), number, _INK, large, anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0, 160))
    top = middle[1] - up + (large.size if isinstance(large, ImageFont.FreeTypeFont) else 12) * 0.62
    for at, line in enumerate(lines[:room]):
        draw.text(
            (middle[0], top + at * line_px), line, _INK, small, anchor="ma", stroke_width=1, stroke_fill=(0, 0, 0, 160)
        )


def _wrapped(
    draw: ImageDraw.ImageDraw, words: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, most: int
) -> list[str]:
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and draw.textlength(longer, font) <= most:
            lines[-1] = longer
        else:
            lines.append(_shortened(draw, word, font, most))
    return lines


def _shortened(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, most: int
) -> str:
    text = " ".join(text.split())[: _TEXT_CHARS * 2]
    if draw.textlength(text, font) <= most:
        return text
    while text and draw.textlength(f"{text}…", font) > most:
        text = text[: -max(1, len(text) // 8)]
    return f"{text}…"


def _drawable(text: str) -> str:
    """The font that every Pillow brings knows Latin letters alone."""
    return "".join(letter for letter in text if letter < "\u0250" or letter in "–—‘’“”…")


def _size(width: int, height: int) -> tuple[int, int]:
    ratio = min(max(width / max(1, height), 1 / _MOST_RATIO), _MOST_RATIO)
    return (LONG_PX, max(1, round(LONG_PX / ratio))) if ratio >= 1 else (max(1, round(LONG_PX * ratio)), LONG_PX)
