"""Things to place in a scene: emoji from the committed sheet, and plain shapes; each 112 px square, RGBA."""

import math
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw

from demo_kit.words import CHARACTER, COLOURS, OBJECTS

__all__ = ["SHEET", "SHEET_COLUMNS", "SPRITE_PX", "object_sprite", "shape_sprite"]

SPRITE_PX = 112
SHEET = Path(__file__).with_name("emoji.webp")
SHEET_COLUMNS = 15


@cache
def _sheet() -> Image.Image:
    return Image.open(SHEET).convert("RGBA")


@cache
def object_sprite(name: str) -> Image.Image:
    """The picture of an object of the world, or of the LoRA's character."""
    place = [*OBJECTS, CHARACTER].index(name)
    x, y = place % SHEET_COLUMNS * SPRITE_PX, place // SHEET_COLUMNS * SPRITE_PX
    return _sheet().crop((x, y, x + SPRITE_PX, y + SPRITE_PX))


@cache
def shape_sprite(shape: str, colour: str) -> Image.Image:
    """A plain circle, square, triangle or star in a colour of the world."""
    side = 4 * SPRITE_PX
    canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw, fill, half = ImageDraw.Draw(canvas), (*COLOURS[colour], 255), side / 2
    if shape == "circle":
        draw.ellipse((4, 4, side - 4, side - 4), fill=fill)
    elif shape == "square":
        draw.rectangle((30, 30, side - 30, side - 30), fill=fill)
    elif shape == "triangle":
        draw.polygon([(half, 10), (side - 6, side - 30), (6, side - 30)], fill=fill)
    elif shape == "star":
        radii = [half - 4 if corner % 2 == 0 else half * 0.42 for corner in range(10)]
        turns = [corner * math.pi / 5 - math.pi / 2 for corner in range(10)]
        draw.polygon(
            [(half + r * math.cos(t), half + 10 + r * math.sin(t)) for r, t in zip(radii, turns, strict=True)],
            fill=fill,
        )
    else:
        raise ValueError(f"no such shape: {shape}")
    return canvas.resize((SPRITE_PX, SPRITE_PX), Image.Resampling.LANCZOS)
