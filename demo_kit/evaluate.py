"""What the checkpoint can do, in figures: prompts and seeds that training has not seen."""

from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from demo_kit.captions import with_article
from demo_kit.judge import LARGE, LEFT, RIGHT, background_colour, colour_name, inside_colour, nearest_things
from demo_kit.studio import Studio
from demo_kit.words import COLOURS, OBJECTS, SHAPES, is_held_out

__all__ = ["Asked", "Figures", "measure", "questions"]

FIRST_SEED = 5_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt and what its picture must show. `group` is the figure it counts for."""

    group: str
    prompt: str
    things: tuple[str, ...]
    background: str


@dataclass(slots=True)
class Figures:
    """Shares of pictures that are right, 0..1, by figure; and what was drawn instead."""

    right: dict[str, list[bool]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def count(self, name: str, right: bool) -> None:
        self.right.setdefault(name, []).append(right)

    def share(self, name: str) -> float:
        return float(np.mean(self.right[name]))

    def __str__(self) -> str:
        return "\n".join(f"{name:<42} {np.mean(hits):.3f}  of {len(hits)}" for name, hits in self.right.items())


def questions(seed: int = 1, pairs: int = 40, shapes: int = 48) -> list[Asked]:
    """Every object once on a colour it was trained with and once on one it never was; shapes; and pairs."""
    rng = Random(f"pincel demo questions {seed}")
    asked: list[Asked] = []
    for thing in OBJECTS:
        for group in ("seen", "unseen"):
            fitting = [colour for colour in COLOURS if is_held_out(thing, colour) == (group == "unseen")]
            if fitting:
                behind = rng.choice(fitting)
                asked.append(Asked(group, f"{with_article(thing)} on a {behind} background", (thing,), behind))
    for _ in range(shapes):
        colour, behind = rng.sample(list(COLOURS), 2)
        shape = f"{colour} {rng.choice(SHAPES)}"
        asked.append(Asked("shape", f"{with_article(shape)} on a {behind} background", (shape,), behind))
    for _ in range(pairs):
        left, right = rng.sample(list(OBJECTS), 2)
        behind = rng.choice(list(COLOURS))
        prompt = f"{with_article(left)} on the left and {with_article(right)} on the right, {behind} background"
        asked.append(Asked("pair", prompt, (left, right), behind))
    return asked


def measure(
    studio: Studio, asked: list[Asked], figures: Figures | None = None
) -> tuple[Figures, list[NDArray[np.uint8]]]:
    """Draw all and look at all."""
    figures = figures or Figures()
    pictures = studio.draw([one.prompt for one in asked], [FIRST_SEED + place for place in range(len(asked))])
    for one, picture in zip(asked, pictures, strict=True):
        figures.count("background colour", colour_name(background_colour(picture)) == one.background)
        if one.group == "shape":
            right = colour_name(inside_colour(picture)) == one.things[0].partition(" ")[0]
            figures.count(
                "both colours of a shape", right and colour_name(background_colour(picture)) == one.background
            )
        elif one.group == "pair":
            drawn = [nearest_things(picture, *place, shapes=True)[0] for place in (LEFT, RIGHT)]
            figures.count("both of two objects, on their sides", drawn == list(one.things))
            figures.count("each of two objects, on its side", drawn[0] == one.things[0])
            figures.count("each of two objects, on its side", drawn[1] == one.things[1])
        else:
            drawn = nearest_things(picture, *LARGE)[:1]
            figures.count("object", drawn == list(one.things))
            figures.count(f"object, {one.group} pair with its background", drawn == list(one.things))
        if one.group != "shape" and drawn != list(one.things):
            figures.wrong.append(f"{one.prompt}: {' and '.join(drawn)}")
    return figures, pictures
