"""A picture as the worker reads it: eight bits a channel, upright, transparency on white."""

from __future__ import annotations

from PIL import Image, ImageOps

__all__ = ["flattened"]


def flattened(picture: Image.Image) -> Image.Image:
    """In RGB. Blocks."""
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value * (1 / 256))  # as it is, Pillow would make white of most greys
    upright = ImageOps.exif_transpose(picture)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    clear = upright.convert("RGBA")
    paper = Image.new("RGBA", clear.size, "white")
    paper.alpha_composite(clear)
    return paper.convert("RGB")
