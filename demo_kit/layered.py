"""Scenes with things anywhere, turned, mirrored and in front of each other: what a control map must be able to ask for.

Half of them are like the ones that checkpoints learn from. Captions name only what the shipped checkpoint was taught.
"""

from dataclasses import dataclass, fields
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps

from demo_kit.backgrounds import PX, background
from demo_kit.captions import caption
from demo_kit.maps import canny_map, scribble_map, thrice
from demo_kit.scenes import Scene
from demo_kit.sprites import object_sprite, shape_sprite
from demo_kit.words import COLOURS, LANDSCAPES, OBJECTS, SHAPES
from demo_kit.worlds import WORLDS

__all__ = ["KNOWN", "LAYERED_MAPS", "Layered", "layered_scene", "overlapping"]

Pixels = NDArray[np.uint8]

UNKNOWN = frozenset({
    "avocado", "basketball", "bomb", "broccoli", "candle", "cherries", "clover", "corn", "crab", "croissant", "dress",
    "drum", "eggplant", "flamingo", "french fries", "ghost", "giraffe", "grapes", "hammer", "koala", "ladybug",
    "light bulb", "lollipop", "maple leaf", "mouse", "octopus", "palm tree", "pear", "pineapple", "planet", "rainbow",
    "snail", "snake", "taco", "top hat", "tractor", "trophy", "tulip", "ufo", "volcano", "whale",
})  # fmt: skip
KNOWN: tuple[str, ...] = tuple(name for name in OBJECTS if name not in UNKNOWN)
"""Objects of the world that the shipped checkpoint draws by name."""
_HIDDEN_PX = 200
_GROUNDS = [*COLOURS, *(name for name in LANDSCAPES if name != "desert")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered(Scene):
    """`layers`: where each thing can be seen, one channel, from the one farthest behind to the nearest."""

    layers: tuple[Image.Image, ...]
    wholes: tuple[Image.Image, ...] = ()
    """Of `overlapping`: the nearer thing and the farther one, each as if the other were not there."""


def layered_scene(rng: Random) -> Layered:
    """An ordinary scene, or things set freely; the caption is empty where it could not name them."""
    return _ordinary(rng) if rng.random() < 0.4 else _free(rng)


def _ordinary(rng: Random) -> Layered:
    while True:
        scene = WORLDS["clean"](rng)
        named = all(thing in KNOWN or thing.split()[-1] in SHAPES for thing in scene.things)
        if named and scene.background in _GROUNDS:
            values = {field.name: getattr(scene, field.name) for field in fields(Scene)}
            return Layered(**values, layers=(scene.cover,))


def _free(rng: Random) -> Layered:
    behind = rng.choice(list(COLOURS)) if rng.random() < 0.75 else rng.choice(_GROUNDS)
    picture, layers, things = background(behind, rng), [], []
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        thing, sprite = _thing(rng, behind)
        side = rng.randint(44, 112) if not things else rng.randint(40, 76)
        drawn = _turned(sprite.resize((side, side), Image.Resampling.LANCZOS), rng)
        room = drawn.width // 4
        corner = rng.randint(-room, PX - drawn.width + room), rng.randint(-room, PX - drawn.height + room)
        cover = Image.new("L", (PX, PX))
        cover.paste(drawn.getchannel("A"), corner)
        picture.paste(drawn, corner, drawn)
        layers = [ImageChops.subtract(before, cover) for before in layers]
        layers.append(cover)
        things.append(thing)
    named = len(things) == 1 and (things[0] in KNOWN or things[0].split()[-1] in SHAPES)
    said = caption(rng, things, behind, None, None, low=False) if named else ""
    whole = layers[0]
    for layer in layers[1:]:
        whole = ImageChops.lighter(whole, layer)
    return Layered(
        caption=said, things=tuple(things), background=behind, picture=picture, cover=whole, layers=tuple(layers)
    )


def overlapping(rng: Random) -> Layered:
    """Two shapes, one of which hides a part of the other; no caption."""
    behind, first, second = rng.sample(list(COLOURS), 3)
    things, picture, wholes = [], background(behind, rng), []
    across = rng.choice((-1, 1)) * rng.randint(14, 22)
    for colour, x in ((first, 64 - across), (second, 64 + across)):
        shape, side = rng.choice(SHAPES), rng.randint(58, 72)
        drawn = shape_sprite(shape, colour).resize((side, side), Image.Resampling.LANCZOS)
        corner = x - side // 2, 64 + rng.randint(-8, 8) - side // 2
        cover = Image.new("L", (PX, PX))
        cover.paste(drawn.getchannel("A"), corner)
        picture.paste(drawn, corner, drawn)
        wholes.append(cover)
        things.append(f"{colour} {shape}")
    far, near = wholes
    hidden = ImageChops.multiply(far, near)
    if (np.asarray(hidden) > 127).sum() < _HIDDEN_PX:
        return overlapping(rng)
    return Layered(
        caption="", things=tuple(things), background=behind, picture=picture, cover=ImageChops.lighter(far, near),
        layers=(ImageChops.subtract(far, near), near), wholes=(near, far),
    )  # fmt: skip


def _thing(rng: Random, behind: str) -> tuple[str, Image.Image]:
    if rng.random() < 0.3:
        colour, shape = rng.choice([name for name in COLOURS if name != behind]), rng.choice(SHAPES)
        return f"{colour} {shape}", shape_sprite(shape, colour)
    name = rng.choice(KNOWN if rng.random() < 0.7 else list(OBJECTS))
    return name, object_sprite(name)


def _turned(sprite: Image.Image, rng: Random) -> Image.Image:
    if rng.random() < 0.5:
        sprite = ImageOps.mirror(sprite)
    if rng.random() < 0.5:
        across, down = (round(side * rng.uniform(0.75, 1.0)) for side in sprite.size)
        sprite = sprite.resize((across, down), Image.Resampling.LANCZOS)
    return sprite.rotate(rng.uniform(-35, 35), Image.Resampling.BICUBIC, expand=True) if rng.random() < 0.6 else sprite


def edges_map(scene: Layered, rng: Random) -> Pixels:
    """Edges of the scene, or of a softer picture of it, as the checkpoint's own pictures are."""
    if rng.random() < 0.5:
        return canny_map(scene, rng)
    soft = cv2.GaussianBlur(np.asarray(scene.picture), (0, 0), rng.uniform(0.5, 1.4))
    low = rng.choice([40, 60, 80, 100])
    return thrice(cv2.Canny(soft, low, 2 * low))


def depths_map(scene: Layered, rng: Random) -> Pixels:
    """Near is bright: a ground that comes nearer downwards, and each thing, bulging, nearer than those behind it."""
    depth = np.linspace(rng.uniform(15, 50), rng.uniform(55, 100), PX)[:, None] * np.ones((1, PX))
    span = (rng.uniform(205, 240) - 125) / len(scene.layers)
    for order, layer in enumerate(scene.layers, 1):
        cover = np.asarray(layer)
        bulge = cv2.distanceTransform((cover > 127).astype(np.uint8), cv2.DIST_L2, 5)
        near = 125 + span * (order - 0.35) + 0.35 * span * np.sqrt(bulge / max(bulge.max(), 1.0))
        share = cover.astype(np.float32) / 255
        depth = depth * (1 - share) + near * share
    return thrice(cv2.GaussianBlur(depth, (0, 0), rng.uniform(0.6, 1.6)).clip(0, 255).astype(np.uint8))


LAYERED_MAPS = {"canny": edges_map, "scribble": scribble_map, "depth": depths_map}
"""Name → the map of a scene: uint8, (128, 128, 3)."""
