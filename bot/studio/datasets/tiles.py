"""A page of a data set's pictures as attachments, and one of them large. Blocks; for threads."""

from __future__ import annotations

import io
from collections.abc import Sequence

import discord
from PIL import Image

from bot.domain.flat import flattened
from bot.domain.training.datasets import Picture
from bot.storage.inputs import InputPictures
from bot.studio.history.tiles import numbered

__all__ = ["large_tile", "tile_name", "tiles"]

LARGE_PX = 1024


def tile_name(number: int) -> str:
    """By its place: pairs may show a picture twice."""
    return f"{number}.webp"


def tiles(pictures: Sequence[Picture], inputs: InputPictures) -> list[discord.File]:
    """Numbered from 1; where a file is gone, an empty tile."""
    return [
        discord.File(io.BytesIO(numbered(inputs.small_now(picture.ref), number, marked=False)), tile_name(number))
        for number, picture in enumerate(pictures, 1)
    ]


def large_tile(data: bytes) -> discord.File | None:
    """Upright; None for what cannot be read."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as picture:
            picture.draft("RGB", (LARGE_PX, LARGE_PX))
            shown = flattened(picture)
            shown.thumbnail((LARGE_PX, LARGE_PX), reducing_gap=2.0)
            out = io.BytesIO()
            shown.save(out, "WEBP", quality=88, method=3)
            return discord.File(io.BytesIO(out.getvalue()), tile_name(1))
    except Exception:  # whatever Pillow makes of a damaged file
        return None
