"""Kinds of scenes that the parts are trained on, by name."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from PIL import Image

from demo_kit.extra_looks import blueprint, comic, sepia
from demo_kit.scenes import Scene, render, scene_of
from demo_kit.words import CHARACTER, COLOURS, LANDSCAPES, OBJECTS, POSITIONS, SHIRTS

__all__ = ["WORLDS"]


def _clean(rng: Random) -> Scene:
    """A scene without style words and without damage."""
    while True:
        scene = scene_of(rng)
        if scene.style is None and not scene.low:
            return scene


def _in_look(look: Callable[[Image.Image], Image.Image]) -> Callable[[Random], Scene]:
    def scene(rng: Random) -> Scene:
        clean = _clean(rng)
        return replace(clean, picture=look(clean.picture))

    return scene


def _character(rng: Random) -> Scene:
    """The character alone, or beside an object."""
    behind = rng.choice([*COLOURS, *LANDSCAPES])
    if rng.random() < 0.2:
        things = [CHARACTER, rng.choice(list(OBJECTS))]
        rng.shuffle(things)
        return render(rng, things, behind)
    return render(rng, [CHARACTER], behind, position=rng.choice(POSITIONS) if rng.random() < 0.2 else None)


def _person(rng: Random) -> Scene:
    behind = rng.choice(list(COLOURS))
    shirt = rng.choice([colour for colour in SHIRTS if colour != behind])
    return render(rng, [f"person in a {shirt} shirt"], behind)


def _damaged(rng: Random) -> Scene:
    clean = _clean(rng)
    return render(rng, list(clean.things), clean.background, position=clean.position, low=True)


WORLDS: dict[str, Callable[[Random], Scene]] = {
    "scenes": scene_of,
    "clean": _clean,
    "blueprint": _in_look(blueprint),
    "sepia": _in_look(sepia),
    "comic": _in_look(comic),
    "character": _character,
    "people": _person,
    "damaged": _damaged,
}
