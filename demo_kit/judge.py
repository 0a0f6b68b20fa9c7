"""Looking at a drawn picture: which of all things stands where, and on which colour."""

from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_kit.sprites import object_sprite, shape_sprite
from demo_kit.words import COLOURS, OBJECTS, SHAPES

__all__ = ["LARGE", "LEFT", "RIGHT", "background_colour", "colour_name", "inside_colour", "nearest_things", "sharpness"]

Pixels = NDArray[np.uint8]

LARGE = ((84, 92, 100), (64, 64))
LEFT = ((58, 62, 66), (33, 64))
RIGHT = ((58, 62, 66), (95, 64))
"""Sizes and centre, in pixels, of what is looked for."""

_REDUCED = 4
_SHIFTS = [(dx, dy) for dx in (-4, 0, 4) for dy in (-8, -4, 0, 4, 8)]


def background_colour(picture: Pixels, width: int = 5) -> NDArray[np.float32]:
    """Median colour of the border, RGB 0..255."""
    edge = [picture[:width], picture[-width:], picture[:, :width].swapaxes(0, 1), picture[:, -width:].swapaxes(0, 1)]
    return np.median(np.concatenate([part.reshape(-1, 3) for part in edge]), 0).astype(np.float32)


def colour_name(colour: NDArray[np.float32]) -> str:
    """The nearest of the world's colours."""
    return min(COLOURS, key=lambda name: float(((np.array(COLOURS[name]) - colour) ** 2).sum()))


def inside_colour(picture: Pixels, x: int = 64, y: int = 68) -> NDArray[np.float32]:
    """Median colour of the middle of a thing."""
    return np.median(picture[y - 6 : y + 6, x - 6 : x + 6].reshape(-1, 3), 0).astype(np.float32)


def nearest_things(
    picture: Pixels,
    sizes: Iterable[int],
    centre: tuple[int, int],
    shapes: bool = False,
    others: tuple[str, ...] = (),
) -> list[str]:
    """All things of the world and `others`, the most similar first, each at its most similar size and place.

    Compared are the pixels of a window around the centre, reduced four-fold, with the thing on the picture's own
    background colour.
    """
    colours, covers, names = _templates(tuple(sizes), centre, shapes, others)
    window = _window(centre)
    seen = _reduce(picture.astype(np.float32))[window].ravel()
    wanted = colours + (1 - covers) * np.tile(background_colour(picture), len(seen) // 3)
    errors = ((wanted - seen) ** 2).mean(1)
    best = dict.fromkeys(names, np.inf)
    for name, error in zip(names, errors, strict=True):
        best[name] = min(best[name], error)
    return sorted(best, key=lambda name: best[name])


@cache
def _templates(
    sizes: tuple[int, ...], centre: tuple[int, int], shapes: bool, others: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[str]]:
    """Colours times cover, and cover, of each thing at each size and place: (N, pixels x 3); and its name."""
    things = {name: object_sprite(name) for name in (*OBJECTS, *others)}
    if shapes:
        things |= {f"{colour} {shape}": shape_sprite(shape, colour) for colour in COLOURS for shape in SHAPES}
    window, colours, covers, names = _window(centre), [], [], []
    for name, sprite in things.items():
        for size in sizes:
            small = sprite.resize((size, size), Image.Resampling.LANCZOS)
            for dx, dy in _SHIFTS:
                layer = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
                layer.paste(small, (round(centre[0] + dx - size / 2), round(centre[1] + dy - size / 2)))
                pixels = np.asarray(layer).astype(np.float32)
                cover = np.repeat(pixels[..., 3:] / 255, 3, axis=2)
                colours.append(_reduce(pixels[..., :3] * cover)[window].ravel())
                covers.append(_reduce(cover)[window].ravel())
                names.append(name)
    return np.stack(colours), np.stack(covers), names


def _window(centre: tuple[int, int]) -> tuple[slice, slice]:
    """The half of the picture that belongs to a thing at one side; all of it for one in the middle."""
    side = 128 // _REDUCED
    across = slice(0, side) if centre[0] == 64 else slice(0, side // 2) if centre[0] < 64 else slice(side // 2, side)
    return slice(0, side), across


def _reduce(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 128 // _REDUCED
    return picture.reshape(side, _REDUCED, side, _REDUCED, -1).mean((1, 3))


def sharpness(picture: Pixels) -> float:
    """Variance of the Laplacian of the grey picture."""
    grey = picture.astype(np.float32).mean(2)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())
