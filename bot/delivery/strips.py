"""A picture that no message holds, as strips from top to bottom that keep every pixel."""

from __future__ import annotations

import io

from PIL import Image as Pillow
from PIL import PngImagePlugin

from bot.delivery.ladder import Upload

__all__ = ["STRIPS_MAX", "strips"]

STRIPS_MAX = 10
"""Attachments of a message."""


def strips(png: bytes, infotext: str, limit_bytes: int) -> list[Upload]:
    """As few PNG files as fit the limit each, the infotext in the first; none where even the most do not. Blocks."""
    with Pillow.open(io.BytesIO(png), formats=("PNG",)) as picture:
        picture.load()
        least = max(2, -(-len(png) // max(1, limit_bytes)))
        for count in range(least, min(STRIPS_MAX, picture.height) + 1):
            found = [_strip(picture, n, count, infotext if n == 0 else "") for n in range(count)]
            if all(len(upload.data) <= limit_bytes for upload in found):
                return found
    return []


def _strip(picture: Pillow.Image, n: int, count: int, infotext: str) -> Upload:
    top, bottom = picture.height * n // count, picture.height * (n + 1) // count
    out = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    if infotext:
        info.add_text("parameters", infotext)
    picture.crop((0, top, picture.width, bottom)).save(out, "PNG", pnginfo=info, compress_level=6)
    return Upload(out.getvalue(), f"-{n + 1}of{count}.png")
