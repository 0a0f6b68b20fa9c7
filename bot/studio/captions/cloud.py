"""The tags of a data set as a cloud: the larger one is, the more pictures have it. CPU-bound: off the loop."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

from PIL import Image, ImageDraw

from bot.grids.fonts import Setting, set_text

__all__ = ["CLOUD_NAME", "cloud_picture"]

CLOUD_NAME = "tags.png"
CLOUD_TAGS = 90
CLOUD_PX = 900
CLOUD_MOST_PX = 900
_SMALL_TEXT, _LARGE_TEXT = 17, 58
_PAPER, _INK, _CHOSEN = (43, 45, 49), (219, 222, 225), (88, 190, 120)


def cloud_picture(counts: Sequence[tuple[str, int]], chosen: Collection[str]) -> bytes:
    """A PNG of the most frequent tags, the larger the more pictures have them; chosen ones are green. Blocks."""
    shown = counts[:CLOUD_TAGS]
    lines = _lines(shown)
    height = min(CLOUD_MOST_PX, sum(line_px for line_px, _ in lines) + 24)
    picture = Image.new("RGB", (CLOUD_PX, max(80, height)), _PAPER)
    draw = ImageDraw.Draw(picture)
    top = 12
    for line_px, words in lines:
        if top + line_px > picture.height:
            break
        gap = 18
        left = (CLOUD_PX - sum(word.width for _, word in words) - gap * (len(words) - 1)) / 2
        for tag, word in words:
            colour = _CHOSEN if tag in chosen else _INK
            for run in word.runs:
                draw.text((left, top + line_px * 0.8), run.text, colour, run.font, anchor="ls")
                left += run.font.getlength(run.text)
            left += gap
        top += line_px
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _lines(shown: Sequence[tuple[str, int]]) -> list[tuple[int, list[tuple[str, Setting]]]]:
    """In as many lines as they need: height in pixels and the words of each."""
    most = max((n for _, n in shown), default=1)
    lines: list[tuple[int, list[tuple[str, Setting]]]] = []
    width = 0.0
    for tag, n in shown:
        size = round(_SMALL_TEXT + (_LARGE_TEXT - _SMALL_TEXT) * (n / most) ** 1.5) if most > 1 else 26
        words = " ".join(tag.split())[:40]
        word = set_text(words, size)
        while word.width > CLOUD_PX - 40 and size > _SMALL_TEXT:
            size -= 4
            word = set_text(words, size)
        if lines and width + 18 + word.width <= CLOUD_PX - 40:
            lines[-1][1].append((tag, word))
            width += 18 + word.width
        else:
            lines.append((round(size * 1.3) + 4, [(tag, word)]))
            width = word.width
    return lines
