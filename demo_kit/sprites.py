"""Things to place in a scene: emoji drawn from a font, and plain shapes; each 112 px square, RGBA."""

import json
import math
import os
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from demo_kit.words import CHARACTER, COLOURS, OBJECTS

__all__ = ["SPRITE_PX", "emoji_sprite", "object_sprite", "shape_sprite"]

SPRITE_PX = 112
STRIKE_PX = 109
"""The one size of Noto Color Emoji's bitmaps."""
DEFAULT_FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"


@cache
def _font() -> ImageFont.FreeTypeFont:
    path = Path(os.environ.get("PINCEL_EMOJI_FONT", DEFAULT_FONT))
    if not path.is_file():
        raise SystemExit(
            f"{path} is missing. Install the font (Debian: fonts-noto-color-emoji) or set PINCEL_EMOJI_FONT."
        )
    return ImageFont.truetype(str(path), STRIKE_PX)


@cache
def _labels() -> dict[str, str]:
    path = Path(os.environ.get("PINCEL_EMOJI_NAMES", "node_modules/emojibase-data/en/data.json"))
    if not path.is_file():
        raise SystemExit(f"{path} is missing. Run `npm install emojibase-data` or set PINCEL_EMOJI_NAMES.")
    return {entry["label"]: entry["emoji"] for entry in json.loads(path.read_text(encoding="utf-8"))}


@cache
def emoji_sprite(label: str) -> Image.Image:
    """The emoji with that label of emojibase-data. Raises KeyError for an unknown label."""
    canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((10, 10), _labels()[label], font=_font(), embedded_color=True)
    cut = canvas.crop(canvas.getbbox())
    side = max(cut.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
    return square.resize((SPRITE_PX, SPRITE_PX), Image.Resampling.LANCZOS)


def object_sprite(name: str) -> Image.Image:
    """The picture of an object of the world, or of the LoRA's character."""
    return emoji_sprite(CHARACTER if name == CHARACTER else OBJECTS[name])


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
