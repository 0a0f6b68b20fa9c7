"""A character that the demo checkpoint has never seen: fifteen drawn pictures of it with captions, and how much of it
is in a picture."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

__all__ = ["REPEATS", "TRIGGER", "distance", "draw_figure", "write_pictures"]

TRIGGER = "zorb"
SIDE_PX = 128
COUNT = 15
REPEATS = 4

_BODY, _HAT, _DARK, _WHITE = (40, 90, 220), (250, 140, 30), (25, 20, 30), (255, 255, 255)
"""Colours that the demo checkpoint's VAE can tell: magenta and teal come out of it brown and blue."""
_GROUNDS = {
    "white": (245, 245, 245), "yellow": (250, 220, 90), "green": (110, 185, 95), "red": (225, 70, 60),
    "pink": (245, 170, 190), "gray": (160, 160, 160),
}  # fmt: skip
_SCALE = 4
"""Drawn this much larger and reduced, so that edges are soft."""

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float32]


def draw_figure(ground: tuple[int, int, int], left: int, top: int) -> Image.Image:
    """A blue ball with one eye, two legs and an orange hat, 64 x 84 px, at that place."""
    image = Image.new("RGB", (SIDE_PX * _SCALE, SIDE_PX * _SCALE), ground)
    pen = ImageDraw.Draw(image)

    def at(*numbers: float) -> list[float]:
        return [(n + (top if place % 2 else left)) * _SCALE for place, n in enumerate(numbers)]

    pen.rectangle(at(18, 70, 26, 84), fill=_DARK)
    pen.rectangle(at(38, 70, 46, 84), fill=_DARK)
    pen.ellipse(at(0, 14, 64, 78), fill=_BODY)
    pen.ellipse(at(17, 32, 47, 62), fill=_WHITE)
    pen.ellipse(at(27, 42, 39, 54), fill=_DARK)
    pen.polygon(at(10, 24, 54, 24, 32, 0), fill=_HAT)
    pen.rectangle(at(4, 21, 60, 28), fill=_HAT)
    return image.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def write_pictures(folder: Path, seed: int = 0) -> Path:
    """Kohya's folder with fifteen of them in it; the captions say what is not the character."""
    dice = random.Random(seed)
    target = folder / f"{REPEATS}_{TRIGGER}"
    target.mkdir(parents=True)
    names = list(_GROUNDS)
    for number in range(COUNT):
        ground = names[number % len(names)]
        place = dice.randrange(26, 39), dice.randrange(16, 29)
        draw_figure(_GROUNDS[ground], *place).save(target / f"{number:02d}.png")
        (target / f"{number:02d}.txt").write_text(f"{TRIGGER} on a {ground} background\n", encoding="utf-8")
    return target


def distance(pixels: Pixels) -> float:
    """Of the figure from the most similar place in a picture, in grey levels (root of the mean square): 0 is the figure
    itself, and about 36 what the demo checkpoint's VAE makes of it."""
    one, other = draw_figure((0, 0, 0), 32, 22), draw_figure((255, 255, 255), 32, 22)
    # Where the ground does not show.
    inside = (np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max(axis=2) < 8)[22:106, 32:96]
    figure = np.asarray(one, np.float32)[22:106, 32:96]
    windows = _windows(pixels.astype(np.float32), figure.shape[:2])
    return min(float(np.square(window[inside] - figure[inside]).mean()) for window in windows) ** 0.5


def _windows(pixels: Numbers, size: tuple[int, int]) -> list[Numbers]:
    high, wide = size
    return [
        pixels[top : top + high, left : left + wide]
        for top in range(0, pixels.shape[0] - high + 1, 2)
        for left in range(0, pixels.shape[1] - wide + 1, 2)
    ]
