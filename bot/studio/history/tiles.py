"""A page's pictures as attachments: small, and numbered as the list below them numbers them. Blocks; for threads."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import discord
from PIL import Image, ImageDraw, ImageFont

from bot.domain.ids import ImageId
from bot.storage.history import Shot
from bot.storage.thumbnails import SIDE_PX, Thumbnails

__all__ = ["large", "numbered", "tile_name", "tiles"]

LARGE_PX = 1280
LARGE_BYTES_MAX = 3 * 2**20
BADGE_PX = 44


def tile_name(shot: Shot) -> str:
    return f"{shot.id}.webp"


def tiles(
    shots: Sequence[Shot],
    thumbnails: Thumbnails,
    file: Callable[[Shot], Path],
    chosen: Collection[ImageId] = (),
    veiled: Collection[ImageId] = (),
) -> list[discord.File]:
    """One file a picture; where there is nothing to show, or nothing that may be seen here, it is an empty tile."""
    found: list[discord.File] = []
    for number, shot in enumerate(shots, start=1):
        small = None if shot.id in veiled else thumbnails.get_now(shot.id, file(shot))
        data = numbered(small, number, marked=shot.id in chosen)
        found.append(discord.File(io.BytesIO(data), tile_name(shot)))
    return found


def large(shot: Shot, file: Path, thumbnails: Thumbnails) -> tuple[discord.File | None, bool]:
    """The picture for its own page, and whether that is smaller than it is; without its file the thumbnail."""
    try:
        with Image.open(file, formats=("PNG", "WEBP", "JPEG")) as picture:
            shown = picture.convert("RGB")
            shrunk = max(shown.size) > LARGE_PX
            shown.thumbnail((LARGE_PX, LARGE_PX), reducing_gap=2.0)
            for quality in (92, 80, 60):
                out = io.BytesIO()
                shown.save(out, "WEBP", quality=quality, method=3)
                if out.tell() <= LARGE_BYTES_MAX:
                    break
            return discord.File(io.BytesIO(out.getvalue()), tile_name(shot)), shrunk
    except Exception:  # gone, or whatever Pillow makes of a damaged file
        small = thumbnails.get_now(shot.id, file)
        return (discord.File(io.BytesIO(small), tile_name(shot)) if small else None), True


def numbered(small: bytes | None, number: int, *, marked: bool) -> bytes:
    """A small copy with its number in the corner, or an empty tile."""
    picture = Image.new("RGB", (SIDE_PX, SIDE_PX), (54, 57, 63))
    if small is not None:
        with Image.open(io.BytesIO(small), formats=("WEBP",)) as found:
            picture = found.convert("RGB")
    draw = ImageDraw.Draw(picture, "RGBA")
    box = (6, 6, 6 + BADGE_PX, 6 + BADGE_PX)
    draw.rounded_rectangle(box, 10, fill=(35, 165, 90, 235) if marked else (0, 0, 0, 170))
    font = ImageFont.load_default(30)
    draw.text((6 + BADGE_PX / 2, 6 + BADGE_PX / 2), str(number), fill=(255, 255, 255, 255), font=font, anchor="mm")
    if marked:
        draw.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=(35, 165, 90, 255), width=6)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80, method=2)
    return out.getvalue()
