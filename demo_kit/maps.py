"""Control maps of scenes: what the four ControlNets are trained to follow. Each is uint8, (128, 128, 3)."""

from collections.abc import Callable
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_kit.people import Person
from demo_kit.scenes import Scene
from gpu_worker.engine.control.preprocessors.networks import aux

__all__ = ["MAPS", "canny_map", "depth_map", "drawn_pose", "pose_map", "scribble_map", "thrice"]

Pixels = NDArray[np.uint8]


class _Joint:
    """A keypoint as controlnet-aux draws it: x and y as shares of the picture's sides."""

    def __init__(self, x: float, y: float) -> None:
        self.x, self.y = x, y


def thrice(grey: NDArray[np.uint8]) -> Pixels:
    return np.repeat(grey[..., None], 3, axis=2)


def canny_map(scene: Scene, rng: Random) -> Pixels:
    """Edges by A1111's default thresholds, and others."""
    low = rng.choice([100, 100, 60, 140])
    return thrice(cv2.Canny(np.asarray(scene.picture), low, 2 * low))


def scribble_map(scene: Scene, rng: Random) -> Pixels:
    """Thick wavering lines, as of somebody who draws with a finger."""
    soft = cv2.GaussianBlur(np.asarray(scene.picture), (0, 0), rng.uniform(1.2, 2.2))
    lines = cv2.Canny(soft, 40, 90)
    if rng.random() < 0.5:  # outlines alone
        around = cv2.morphologyEx(np.asarray(scene.cover), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        lines = np.where(around > 100, np.uint8(255), np.uint8(0))
    wave = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 1, (2, 6, 6)).astype(np.float32)
    dx, dy = (cv2.resize(part, (128, 128), interpolation=cv2.INTER_CUBIC) * 1.4 for part in wave)
    y, x = np.mgrid[0:128, 0:128].astype(np.float32)
    lines = cv2.remap(lines, x + dx, y + dy, cv2.INTER_LINEAR)
    size = rng.choice([2, 3, 3, 4])
    thick = cv2.dilate(lines, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return thrice(np.where(thick > 90, np.uint8(255), np.uint8(0)))


def depth_map(scene: Scene, rng: Random) -> Pixels:
    """Near is bright: things bulge in front of a ground that comes nearer downwards."""
    cover = np.asarray(scene.cover)
    ground = np.linspace(rng.uniform(20, 60), rng.uniform(60, 120), 128)[:, None] * np.ones((1, 128))
    bulge = cv2.distanceTransform((cover > 127).astype(np.uint8), cv2.DIST_L2, 5)
    bulge = np.sqrt(bulge / max(bulge.max(), 1.0))
    near = rng.uniform(150, 190) + rng.uniform(20, 60) * bulge
    share = cover.astype(np.float32) / 255
    depth = cv2.GaussianBlur(ground * (1 - share) + near * share, (0, 0), rng.uniform(0.6, 1.6))
    return thrice(depth.clip(0, 255).astype(np.uint8))


def pose_map(scene: Scene, rng: Random) -> Pixels:
    """OpenPose's coloured limbs on black; all black where nobody is."""
    if scene.person is None:
        return np.zeros((128, 128, 3), np.uint8)
    return drawn_pose(scene.person, rng.choice([128, 192, 256, 512]))


def drawn_pose(person: Person, side: int) -> Pixels:
    """As controlnet-aux draws it on a square of that side, reduced to 128 px."""
    joints = [_Joint(x / 128, y / 128) for x, y in person.points]
    canvas = aux("open_pose.util").draw_bodypose(np.zeros((side, side, 3), np.uint8), [*joints, None, None, None, None])
    return cv2.resize(canvas, (128, 128), interpolation=cv2.INTER_AREA)


MAPS: dict[str, tuple[str, Callable[[Scene, Random], Pixels]]] = {
    "canny": ("clean", canny_map),
    "scribble": ("clean", scribble_map),
    "depth": ("clean", depth_map),
    "openpose": ("people", pose_map),
}
"""Name → the world it learns from, and its maps."""
