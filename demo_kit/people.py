"""A simple drawn person in a random pose, with its joints known: what the pose ControlNet learns from."""

import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from demo_kit.words import COLOURS

__all__ = ["JOINTS", "Person", "draw_person", "random_person"]

JOINTS = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle",
)  # fmt: skip
"""The first fourteen keypoints of OpenPose's COCO order."""

_SCALE = 4
"""Drawn this much larger and reduced, for smooth edges."""


@dataclass(frozen=True, slots=True)
class Person:
    """`points`: x, y in pixels of each of JOINTS; `height` in pixels from head to foot when standing."""

    points: tuple[tuple[float, float], ...]
    height: float
    shirt: str


def random_person(rng: Random, px: int = 128, shirt: str = "blue") -> Person:
    """A person with arms and legs anywhere that arms and legs can go, wholly within a picture of `px` pixels."""
    height = rng.uniform(0.72, 0.86) * px
    neck = (px / 2 + rng.uniform(-0.08, 0.08) * px, px / 2 - 0.27 * height + rng.uniform(-0.02, 0.02) * px)
    lean = rng.gauss(0, 0.07)

    def from_(point: tuple[float, float], angle: float, length: float) -> tuple[float, float]:
        """`angle` in radians from straight down, to the right of the picture where positive."""
        return point[0] + math.sin(angle) * length * height, point[1] + math.cos(angle) * length * height

    hips = from_(neck, lean, 0.30)
    points = [from_(neck, lean + math.pi, 0.13), neck]
    for side in (-1, 1):  # the person's right is on the picture's left
        shoulder = from_(neck, lean + side * 1.45, 0.10)
        upper = side * rng.choice([rng.uniform(0.1, 0.9), rng.uniform(0.9, 1.9), rng.uniform(1.9, 2.8)])
        lower = upper + side * rng.uniform(-0.5, 1.3)
        elbow = from_(shoulder, upper, 0.17)
        points += [shoulder, elbow, from_(elbow, lower, 0.16)]
    for side in (-1, 1):
        hip = from_(hips, lean + side * 1.5, 0.06)
        thigh = side * rng.choice([rng.uniform(0.0, 0.25), rng.uniform(0.2, 0.8)])
        knee = from_(hip, thigh, 0.21)
        points += [hip, knee, from_(knee, thigh - side * rng.uniform(0.0, 0.6), 0.20)]
    kept = [(min(max(x, 4.0), px - 4.0), min(max(y, 4.0), px - 4.0)) for x, y in points]
    return Person(tuple(kept), height, shirt)


def draw_person(picture: Image.Image, person: Person) -> Image.Image:
    """The picture with the person in it: round head, shirt in its colour, dark trousers, skin, shoes."""
    canvas = picture.resize((picture.width * _SCALE, picture.height * _SCALE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    at = {name: (x * _SCALE, y * _SCALE) for name, (x, y) in zip(JOINTS, person.points, strict=True)}
    unit = person.height * _SCALE
    skin, trousers, shoes, hair = (242, 190, 150), (52, 58, 92), (30, 26, 26), (84, 52, 30)
    shirt = COLOURS[person.shirt]

    def limb(first: str, second: str, width: float, colour: tuple[int, int, int]) -> None:
        (x0, y0), (x1, y1), half = at[first], at[second], width * unit / 2
        draw.line((x0, y0, x1, y1), fill=colour, width=round(2 * half))
        for x, y in ((x0, y0), (x1, y1)):
            draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)

    for side in ("right", "left"):
        limb(f"{side} hip", f"{side} knee", 0.085, trousers)
        limb(f"{side} knee", f"{side} ankle", 0.07, trousers)
        x, y = at[f"{side} ankle"]
        draw.ellipse((x - 0.05 * unit, y - 0.03 * unit, x + 0.05 * unit, y + 0.04 * unit), fill=shoes)
    torso = [at["right shoulder"], at["left shoulder"], at["left hip"], at["right hip"]]
    draw.polygon(torso, fill=shirt)
    limb("right shoulder", "left shoulder", 0.08, shirt)
    limb("right hip", "left hip", 0.08, shirt)
    for side in ("right", "left"):
        limb(f"{side} elbow", f"{side} wrist", 0.055, skin)
        limb(f"{side} shoulder", f"{side} elbow", 0.075, shirt)
        x, y = at[f"{side} wrist"]
        draw.ellipse((x - 0.035 * unit, y - 0.035 * unit, x + 0.035 * unit, y + 0.035 * unit), fill=skin)
    x, y = at["nose"]
    limb("neck", "nose", 0.06, skin)
    radius = 0.085 * unit
    draw.ellipse((x - radius, y - 1.12 * radius, x + radius, y + radius), fill=hair)
    draw.ellipse((x - 0.9 * radius, y - 0.75 * radius, x + 0.9 * radius, y + 1.05 * radius), fill=skin)
    for side in (-1, 1):
        eye = x + side * 0.38 * radius
        draw.ellipse((eye - 0.14 * radius, y - 0.1 * radius, eye + 0.14 * radius, y + 0.22 * radius), fill=shoes)
    return canvas.resize(picture.size, Image.Resampling.LANCZOS)
