"""Training scenes, rendered on the fly: a picture of 128 px, its caption and what is where in it."""

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops

from demo_kit.backgrounds import PX, background
from demo_kit.captions import caption
from demo_kit.looks import degraded, styled
from demo_kit.people import Person, draw_person, random_person
from demo_kit.sprites import object_sprite, shape_sprite
from demo_kit.words import COLOURS, LANDSCAPES, OBJECTS, POSITIONS, SHAPES, SHIRTS, STYLES, is_held_out

__all__ = ["Facts", "Scene", "render", "scene_of", "stream"]

SMALL_PX = (58, 66)
LARGE_PX = (84, 100)
ASIDE_PX = 35
"""Distance of a small thing's centre from the edge it stands at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a scene shows. `things`: one, or the one on the left and the one on the right."""

    caption: str
    things: tuple[str, ...]
    background: str
    position: str | None = None
    style: str | None = None
    low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene(Facts):
    """With its picture. `cover`: where things stand, one channel, 255 within them; `person` where the one thing is a
    person."""

    picture: Image.Image
    cover: Image.Image
    person: Person | None = None


def stream(seed: int) -> Random:
    """The source of random choices for one shard of scenes."""
    return Random(f"pincel demo scenes {seed}")


def scene_of(rng: Random) -> Scene:
    """A scene as training sees them: no held-out pair of thing and background among them."""
    two = rng.random() < 0.40
    while True:
        behind = rng.choice(list(COLOURS)) if rng.random() < 0.83 else rng.choice(list(LANDSCAPES))
        things = [_thing(rng, alone=not two) for _ in range(2 if two else 1)]
        clash = any(is_held_out(thing, behind) or _colour(thing) == behind for thing in things)
        if not clash and len(set(things)) == len(things):
            break
    aside = not two and "person" not in things[0] and rng.random() < 0.22
    position = rng.choice(POSITIONS) if aside else None
    style = rng.choice(STYLES) if rng.random() < 0.14 else None
    low = rng.random() < 0.10
    return render(rng, things, behind, position=position, style=style, low=low)


def render(
    rng: Random,
    things: list[str],
    behind: str,
    position: str | None = None,
    style: str | None = None,
    low: bool = False,
) -> Scene:
    """The scene with those things. Names are of demo_kit.words: `cat`, `red circle`, `person in a blue shirt`."""
    picture, cover, person = background(behind, rng), Image.new("L", (PX, PX)), None
    if len(things) == 2:
        for thing, x in zip(things, (33, 95), strict=True):
            _place(
                picture, cover, _sprite(thing), rng.randint(*SMALL_PX), x + rng.randint(-2, 2), 64 + rng.randint(-5, 5)
            )
    elif things[0].startswith("person"):
        person = random_person(rng, PX, _shirt(things[0]))
        plain = picture
        picture = draw_person(plain, person)
        cover = ImageChops.difference(picture, plain).convert("L").point(lambda value: 255 if value > 8 else 0)
    elif position:
        far = PX - ASIDE_PX
        x, y = {"left": (ASIDE_PX, 64), "right": (far, 64), "top": (64, ASIDE_PX), "bottom": (64, far)}[position]
        _place(
            picture, cover, _sprite(things[0]), rng.randint(*SMALL_PX), x + rng.randint(-2, 2), y + rng.randint(-2, 2)
        )
    else:
        size = rng.choice(range(LARGE_PX[0], LARGE_PX[1] + 1, 8))
        _place(picture, cover, _sprite(things[0]), size, 64 + rng.randint(-3, 3), 64 + rng.randint(-3, 3))
    if style:
        picture = styled(picture, style, rng)
    if low:
        picture = degraded(picture, rng)
    said = caption(rng, things, behind, position, style, low)
    return Scene(
        caption=said, things=tuple(things), background=behind, position=position, style=style, low=low,
        picture=picture, cover=cover, person=person,
    )  # fmt: skip


def _thing(rng: Random, alone: bool) -> str:
    chance = rng.random()
    if alone and chance < 0.10:
        return f"person in a {rng.choice(SHIRTS)} shirt"
    if chance < 0.32:
        return f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}"
    return rng.choice(list(OBJECTS))


def _colour(thing: str) -> str | None:
    return next((colour for colour in COLOURS if f" {colour} " in f" {thing} "), None)


def _shirt(thing: str) -> str:
    return thing.removeprefix("person in a ").removesuffix(" shirt") if " in a " in thing else "blue"


def _sprite(thing: str) -> Image.Image:
    colour, _, shape = thing.partition(" ")
    return shape_sprite(shape, colour) if colour in COLOURS and shape in SHAPES else object_sprite(thing)


def _place(picture: Image.Image, cover: Image.Image, sprite: Image.Image, size: int, x: float, y: float) -> None:
    scaled = sprite.resize((size, size), Image.Resampling.LANCZOS)
    corner = (round(x - size / 2), round(y - size / 2))
    picture.paste(scaled, corner, scaled)
    cover.paste(255, (*corner, corner[0] + size, corner[1] + size), scaled.getchannel("A"))
