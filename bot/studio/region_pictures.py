"""Pictures for "vary region": the grid that is laid over a picture, and masks. CPU-bound: off the loop."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from bot.domain.regions import Box, cell_box
from bot.errors import UserFacingError

__all__ = ["boxes_mask", "gridded", "thumbnail", "uploaded_mask"]

SHOWN_PX = 1024
THUMBNAIL_PX = 320
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_SAME_SHAPE = 0.02
_WHITE = 128
MOST_PIXELS = 4096 * 4096


def gridded(data: bytes, grid: tuple[int, int]) -> bytes:
    """The picture with lines and the number of each cell, small enough for any limit: a JPEG."""
    picture = _opened(data)
    picture.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture, "RGBA")
    columns, rows = grid
    width, height = picture.size
    font = ImageFont.load_default(size=max(14, min(width // columns, height // rows) // 3))
    for column in range(1, columns):
        _line(draw, (width * column / columns, 0, width * column / columns, height))
    for row in range(1, rows):
        _line(draw, (0, height * row / rows, width, height * row / rows))
    for cell in range(1, columns * rows + 1):
        left, top, right, bottom = cell_box(cell, grid)
        middle = ((left + right) / 2 * width, (top + bottom) / 2 * height)
        draw.text(
            middle, str(cell), (255, 255, 255, 235), font, anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0, 200)
        )
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()


def thumbnail(data: bytes) -> bytes:
    """A JPEG for beside a text."""
    picture = _opened(data)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def boxes_mask(boxes: Sequence[Box], size: tuple[int, int]) -> bytes:
    """White boxes on black: a PNG of that size."""
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    for left, top, right, bottom in boxes:
        # Cells that touch must leave no line between them.
        corner = (round(left * size[0]), round(top * size[1]))
        draw.rectangle((corner, (round(right * size[0]) - 1, round(bottom * size[1]) - 1)), fill=255)
    return _png(mask)


def uploaded_mask(data: bytes, size: tuple[int, int]) -> tuple[bytes, Box]:
    """What somebody painted, as a mask of `size`, and the box around it in shares.

    White counts, or what is opaque in a picture with transparency, as in every mask here. It may be smaller or larger
    than the picture, of its shape. Raises UserFacingError: `picture_unreadable`, `picture_pixels`, `region_mask_size`,
    `region_mask_empty`, `region_everything`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as found:
                if found.width * found.height > MOST_PIXELS:
                    raise UserFacingError(
                        "picture_pixels", width=found.width, height=found.height, limit_mp=MOST_PIXELS // 10**6
                    )
                rgba = found.convert("RGBA")
    except UserFacingError:
        raise
    except Exception as error:  # whatever Pillow makes of foreign bytes
        raise UserFacingError("picture_unreadable", name="mask") from error
    if abs(rgba.width / rgba.height * size[1] / size[0] - 1) > _SAME_SHAPE:
        raise UserFacingError(
            "region_mask_size", mask_width=rgba.width, mask_height=rgba.height, width=size[0], height=size[1]
        )
    alpha = rgba.getchannel("A")
    painted = alpha if alpha.getextrema()[0] < _WHITE else rgba.convert("L")  # pyright: ignore[reportOperatorIssue]
    mask = painted.point([255 if level >= _WHITE else 0 for level in range(256)]).resize(size, Image.Resampling.NEAREST)
    box = mask.getbbox()
    if box is None:
        raise UserFacingError("region_mask_empty")
    if mask.getextrema()[0] == 255:
        raise UserFacingError("region_everything")
    return _png(mask), (box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1])


def _opened(data: bytes) -> Image.Image:
    """One of our own pictures."""
    with Image.open(io.BytesIO(data), formats=("PNG", "WEBP", "JPEG")) as found:
        return found.convert("RGB")


def _line(draw: ImageDraw.ImageDraw, ends: tuple[float, float, float, float]) -> None:
    draw.line(ends, fill=(0, 0, 0, 160), width=5)
    draw.line(ends, fill=(255, 255, 255, 220), width=2)


def _png(mask: Image.Image) -> bytes:
    out = io.BytesIO()
    mask.save(out, "PNG")
    return out.getvalue()
