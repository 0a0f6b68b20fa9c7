"""A data set's pictures as the tag editor shows them: small and numbered, and its tags as a cloud. Decoding and drawing
are CPU-bound and run off the loop; the files are anybody's."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections import OrderedDict
from collections.abc import Collection, Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from bot.domain.limits import Limits
from bot.domain.training.datasets import Picture
from bot.grids.fonts import Setting, set_text
from bot.storage.images import MissingPictureError
from bot.storage.inputs import InputPictures

__all__ = ["CLOUD_NAME", "CaptionPictures", "cloud_picture", "tile_name"]

SIDE_PX, LARGE_PX = 384, 1024
KEPT_BYTES = 12 << 20
"""Of small pictures in memory: whoever edits looks at the same ones again and again."""
CLOUD_NAME = "tags.png"
CLOUD_TAGS = 90
CLOUD_PX = 900
CLOUD_MOST_PX = 900
_SMALL_TEXT, _LARGE_TEXT = 17, 58
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_PAPER, _INK, _CHOSEN = (43, 45, 49), (219, 222, 225), (88, 190, 120)
_BADGE_PX = 44


def tile_name(picture: Picture) -> str:
    return f"{picture.id}.webp"


class CaptionPictures:
    def __init__(self, inputs: InputPictures, limits: Limits) -> None:
        self._inputs = inputs
        self._limits = limits
        self._small: OrderedDict[str, bytes] = OrderedDict()

    async def tiles(self, pictures: Sequence[Picture]) -> list[bytes]:
        """A WebP each, numbered from 1; an empty tile where it is gone or unreadable."""
        smalls = [await self._one(picture) for picture in pictures]
        return await asyncio.to_thread(lambda: [_numbered(small, n) for n, small in enumerate(smalls, start=1)])

    async def large(self, picture: Picture) -> bytes:
        """A WebP for the picture's own page; an empty tile as in `tiles`."""
        data = await self._read(picture)
        made = await asyncio.to_thread(_fitted, data, LARGE_PX, self._limits.max_picture_pixels) if data else None
        return made if made is not None else await asyncio.to_thread(_numbered, None, None)

    async def _one(self, picture: Picture) -> bytes | None:
        kept = self._small.get(picture.sha256)
        if kept is not None:
            self._small.move_to_end(picture.sha256)
            return kept
        data = await self._read(picture)
        if data is None:
            return None
        small = await asyncio.to_thread(_fitted, data, SIDE_PX, self._limits.max_picture_pixels)
        if small is not None:
            self._small[picture.sha256] = small
            while sum(map(len, self._small.values())) > KEPT_BYTES:
                self._small.popitem(last=False)
        return small

    async def _read(self, picture: Picture) -> bytes | None:
        try:
            return await self._inputs.read(picture.ref)
        except MissingPictureError:
            return None


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


def _fitted(data: bytes, side_px: int, most_pixels: int) -> bytes | None:
    """Upright. None for what Pillow cannot read to its end."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as found:
                if found.width * found.height > most_pixels:
                    return None
                found.draft("RGB", (side_px, side_px))
                picture = ImageOps.exif_transpose(found).convert("RGBA")
        picture.thumbnail((side_px, side_px), reducing_gap=2.0)
        flat = Image.new("RGBA", picture.size, "white")
        flat.alpha_composite(picture)
        out = io.BytesIO()
        flat.convert("RGB").save(out, "WEBP", quality=82, method=2)
        return out.getvalue()
    except Exception:  # whatever Pillow makes of foreign bytes
        return None


def _numbered(small: bytes | None, number: int | None) -> bytes:
    picture = Image.new("RGB", (SIDE_PX, SIDE_PX), (54, 57, 63))
    if small is not None:
        with Image.open(io.BytesIO(small), formats=("WEBP",)) as found:
            picture = found.convert("RGB")
    if number is not None:
        draw = ImageDraw.Draw(picture, "RGBA")
        draw.rounded_rectangle((6, 6, 6 + _BADGE_PX, 6 + _BADGE_PX), 10, fill=(0, 0, 0, 170))
        font = ImageFont.load_default(30)
        middle = 6 + _BADGE_PX / 2
        draw.text((middle, middle), str(number), fill=(255, 255, 255, 255), font=font, anchor="mm")
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80, method=2)
    return out.getvalue()
