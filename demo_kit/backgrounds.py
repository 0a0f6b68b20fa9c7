"""What stands behind the things: one colour, or a simple landscape."""

from random import Random

import numpy as np
from PIL import Image, ImageDraw

from demo_kit.words import COLOURS

__all__ = ["PX", "background"]

PX = 128
"""Side of every scene, in pixels."""

Colour = tuple[int, int, int]


def background(name: str, rng: Random) -> Image.Image:
    """A background of that name, a little different each time. Raises KeyError for an unknown name."""
    if name in COLOURS:
        return Image.new("RGB", (PX, PX), _near(COLOURS[name], rng, 8))
    return {"night sky": _night, "meadow": _meadow, "beach": _beach, "snow": _snow, "desert": _desert}[name](rng)


def _near(colour: Colour, rng: Random, most: int) -> Colour:
    red, green, blue = (max(0, min(255, part + rng.randint(-most, most))) for part in colour)
    return red, green, blue


def _sky(top: Colour, bottom: Colour) -> Image.Image:
    down = np.linspace(0, 1, PX)[:, None, None]
    rows = (1 - down) * np.array(top) + down * np.array(bottom)
    return Image.fromarray(np.broadcast_to(rows, (PX, PX, 3)).astype(np.uint8))


def _night(rng: Random) -> Image.Image:
    picture = _sky((8, 10, 45), (40, 45, 110))
    draw = ImageDraw.Draw(picture)
    for _ in range(28):
        x, y, more = rng.randrange(PX), rng.randrange(PX), rng.choice([0, 1, 1])
        draw.rectangle((x, y, x + more, y + more), fill=(255, 255, 220))
    return picture


def _meadow(rng: Random) -> Image.Image:
    picture, horizon = _sky((110, 190, 250), (200, 235, 255)), rng.randint(74, 86)
    ImageDraw.Draw(picture).ellipse((-60, horizon, PX + 60, PX + 90), fill=_near((90, 180, 60), rng, 8))
    return picture


def _beach(rng: Random) -> Image.Image:
    picture, horizon = _sky((120, 200, 250), (190, 230, 250)), rng.randint(56, 66)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, horizon, PX, PX), fill=(30, 130, 200))
    draw.rectangle((0, horizon + rng.randint(26, 34), PX, PX), fill=_near((240, 215, 150), rng, 6))
    return picture


def _snow(rng: Random) -> Image.Image:
    picture, horizon = _sky((130, 160, 200), (195, 215, 235)), rng.randint(80, 92)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((-60, horizon, PX + 60, PX + 90), fill=(248, 250, 255))
    for _ in range(26):
        x, y = rng.randrange(PX), rng.randrange(PX)
        draw.ellipse((x, y, x + 3, y + 3), fill=(255, 255, 255))
    return picture


def _desert(rng: Random) -> Image.Image:
    picture, horizon = _sky((250, 170, 110), (255, 225, 170)), rng.randint(70, 82)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((-90, horizon + 8, 80, PX + 120), fill=_near((205, 140, 70), rng, 8))
    draw.ellipse((40, horizon, PX + 110, PX + 120), fill=_near((225, 165, 90), rng, 8))
    return picture
