"""How well the demo's ControlNets are followed: `python -m demo_kit.follow NAME…` says it in figures.

Maps, prompts and seeds are none that training has seen. Everything is drawn by the product's own engine.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_kit.folders import KIT
from demo_kit.judge import background_colour
from demo_kit.layered import KNOWN, LAYERED_MAPS, Layered, layered_scene, overlapping
from demo_kit.maps import MAPS
from demo_kit.scenes import Scene
from demo_kit.studio import Studio, contact_sheet
from demo_kit.words import SHAPES
from demo_kit.worlds import WORLDS
from gpu_worker.language.models import DEMO_NAME
from gpu_worker.protocol.specs import ControlUnit

__all__ = ["Asked", "asked", "covered", "edge_score", "edges_of", "follow", "order_seen", "score", "unit"]

Pixels = NDArray[np.uint8]
Marks = NDArray[np.bool_]
FIRST_SEED = 7_000_000
POSES = "openpose"


@dataclass(frozen=True, slots=True)
class Asked:
    """A scene, its map by name, and the prompt of the one thing in it."""

    scene: Layered
    map: Pixels
    prompt: str


def asked(name: str, count: int) -> list[Asked]:
    """Things by themselves where the checkpoint alone would seldom put them, on one colour."""
    rng = Random(f"pincel follow {name}")
    made: list[Asked] = []
    if name == POSES:
        world, draw_pose = MAPS[name]
        for scene in (WORLDS[world](rng) for _ in range(count)):
            values = {each.name: getattr(scene, each.name) for each in fields(Scene)}
            layered = Layered(**values, layers=(scene.cover,))
            made.append(Asked(layered, draw_pose(scene, rng), f"{scene.things[0]}, {scene.background} background"))
        return made
    while len(made) < count:
        scene = layered_scene(rng)
        thing = scene.things[0]
        known = thing in KNOWN or thing.split()[-1] in SHAPES
        if len(scene.things) == 1 and known and " " not in scene.background:
            made.append(Asked(scene, LAYERED_MAPS[name](scene, rng), f"{thing}, {scene.background} background"))
    return made


def unit(studio: Studio, name: str, shown: Pixels, **options: object) -> ControlUnit:
    """A unit that takes the picture for its map, unless `preprocessor` says otherwise."""
    return ControlUnit.model_validate({"model": f"{DEMO_NAME}-{name}", "image": studio.give(shown), **options})


def edges_of(picture: Pixels) -> Marks:
    """Edges of a soft picture."""
    return cv2.Canny(cv2.GaussianBlur(picture, (0, 0), 0.8), 50, 120) > 0


def edge_score(found: Marks, wanted: Marks, reach: int = 2) -> float:
    """F-score of edges that lie within `reach` pixels of each other, 0..1."""
    if not found.any() or not wanted.any():
        return 0.0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near_found, near_wanted = (cv2.dilate(edges.astype(np.uint8), disc) > 0 for edges in (found, wanted))
    precise, complete = float(near_wanted[found].mean()), float(near_found[wanted].mean())
    return 2 * precise * complete / max(precise + complete, 1e-6)


def covered(picture: Pixels, cover: Marks) -> float:
    """Intersection over union of what is not in the background's colour and of where things were asked for, 0..1."""
    away = np.abs(picture.astype(np.float32) - background_colour(picture)).max(2) > 40
    return float((away & cover).sum() / max(1, (away | cover).sum()))


def order_seen(picture: Pixels, near: Marks, far: Marks) -> bool:
    """Whether, where two things overlap, the outline of the nearer one is the one that can be seen."""
    seen = cv2.dilate(edges_of(picture).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ring, hidden = _outline(near) & far, _outline(far) & near
    return bool(seen[ring].mean() > seen[hidden].mean())


def _outline(cover: Marks) -> Marks:
    return cv2.morphologyEx(cover.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0


def follow(
    studio: Studio, name: str, count: int = 24, weights: Sequence[float] = (0.0, 1.0), **options: Any
) -> dict[float, list[Pixels]]:
    """Pictures of the questions for each weight of the unit; `options` are the drawing's."""
    questions = asked(name, count)
    seeds = list(range(FIRST_SEED, FIRST_SEED + count))
    return {
        weight: studio.draw(
            [question.prompt for question in questions],
            seeds,
            control=[(unit(studio, name, question.map, weight=weight),) for question in questions] if weight else (),
            **options,
        )
        for weight in weights
    }


def score(name: str, question: Asked, picture: Pixels) -> float:
    """What a map of that kind promises, 0..1."""
    if name == "canny":
        return edge_score(edges_of(picture), question.map[..., 0] > 127)
    if name == "scribble":
        return edge_score(edges_of(picture), _outline(np.asarray(question.scene.cover) > 127), reach=3)
    return covered(picture, np.asarray(question.scene.cover) > 127)


def depth_order(studio: Studio, count: int = 16) -> float:
    """Share of pictures in which, of two shapes, the one that the map has nearer lies in front."""
    rng = Random("pincel follow order")
    scenes = [overlapping(rng) for _ in range(count)]
    maps = [LAYERED_MAPS["depth"](scene, rng) for scene in scenes]
    pictures = studio.draw(
        [f"{scene.background} background" for scene in scenes],
        list(range(FIRST_SEED, FIRST_SEED + count)),
        control=[(unit(studio, "depth", shown),) for shown in maps],
    )
    right = [
        order_seen(picture, *(np.asarray(whole) > 127 for whole in scene.wholes))
        for picture, scene in zip(pictures, scenes, strict=True)
    ]
    return float(np.mean(right))


def main(arguments: list[str]) -> int:
    """Exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m demo_kit.follow", description=__doc__)
    parser.add_argument("name", nargs="+", choices=[*LAYERED_MAPS, POSES])
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder of the networks, instead of the kit's")
    parser.add_argument("--base", type=Path, help="the checkpoint they were made for, a file, instead of what ships")
    parser.add_argument("--sheet", type=Path, help="a PNG of maps and pictures")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made:
        models = Path(made)
        if options.folder:
            (models / "controlnet").symlink_to(options.folder.resolve())
        if options.base:
            (models / "checkpoints").mkdir()
            (models / "checkpoints" / f"{DEMO_NAME}.safetensors").symlink_to(options.base.resolve())
        studio = Studio(models, DEMO_NAME, KIT / "sd-mini" if options.folder else KIT)
        for name in options.name:
            questions, pictures = asked(name, options.count), follow(studio, name, options.count)
            for weight, drawn in pictures.items():
                scores = [score(name, *pair) for pair in zip(questions, drawn, strict=True)]
                print(f"{name}, weight {weight:g}: mean {np.mean(scores):.3f}, median {np.median(scores):.3f}")  # noqa: T201
            if name == "depth":
                print(f"depth: order right in {depth_order(studio):.2f}")  # noqa: T201
            if options.sheet:
                rows = [[np.asarray(question.scene.picture) for question in questions]]
                rows += [[question.map for question in questions], *pictures.values()]
                path = options.sheet.with_stem(f"{options.sheet.stem}-{name}")
                contact_sheet([picture for row in rows for picture in row], columns=options.count).save(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
