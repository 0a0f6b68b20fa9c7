"""People as OpenPose's control models know them: coloured limbs, hands and faces on black (behaviours §17.2)."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from gpu_worker.engine.calls import Picture

__all__ = ["Person", "Point", "drawn"]

Point = tuple[float, float]
"""(x, y) as shares of the picture's sides."""
Points = Sequence[Point | None]

_LIMBS = (
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14), (2, 1),
    (1, 15), (15, 17), (1, 16), (16, 18),
)  # fmt: skip
"""Of OpenPose's 18 points, counted from 1."""
_COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
_FINGERS = tuple((0 if at % 4 == 1 else at - 1, at) for at in range(1, 21))
_LIMB_PX, _HAND_LINE_PX, _POINT_PX, _FACE_POINT_PX = 4, 2, 4, 3
_LIMB_SHADE = 0.6
_FAR = 4.0
"""Shares beyond which a point is nonsense that would take long to draw."""


@dataclass(frozen=True)
class Person:
    body: Points = ()
    hands: Sequence[Points] = ()
    face: Points = ()


def drawn(people: Sequence[Person], height: int, width: int) -> Picture:
    canvas = np.zeros((height, width, 3), np.uint8)
    for person in people:
        _body(canvas, person.body)
        for hand in person.hands:
            _hand(canvas, hand)
        for point in _placed(canvas, person.face):
            if point is not None and min(point) > 0:
                cv2.circle(canvas, point, _FACE_POINT_PX, (255, 255, 255), thickness=-1)
    return canvas


def _body(canvas: Picture, points: Points) -> None:
    height, width = canvas.shape[:2]
    known = [point if point is not None and max(map(abs, point)) < _FAR else None for point in points]
    if len(known) < len(_COLOURS):
        return
    for (one, other), colour in zip(_LIMBS, _COLOURS, strict=False):
        a, b = known[one - 1], known[other - 1]
        if a is None or b is None:
            continue
        from_x, from_y, to_x, to_y = a[0] * width, a[1] * height, b[0] * width, b[1] * height
        middle = int((from_x + to_x) / 2), int((from_y + to_y) / 2)
        length = math.hypot(from_x - to_x, from_y - to_y)
        angle = math.degrees(math.atan2(from_y - to_y, from_x - to_x))
        limb: Any = cv2.ellipse2Poly(middle, (int(length / 2), _LIMB_PX), int(angle), 0, 360, 1)
        cv2.fillConvexPoly(canvas, limb, tuple(int(part * _LIMB_SHADE) for part in colour))
    for point, colour in zip(_placed(canvas, known), _COLOURS, strict=True):
        if point is not None:
            cv2.circle(canvas, point, _POINT_PX, colour, thickness=-1)


def _hand(canvas: Picture, points: Points) -> None:
    placed = [point if point is not None and min(point) > 0 else None for point in _placed(canvas, points)]
    if len(placed) <= len(_FINGERS):
        return
    for at, (one, other) in enumerate(_FINGERS):
        a, b = placed[one], placed[other]
        if a is not None and b is not None:
            colour = tuple(part * 255 for part in colorsys.hsv_to_rgb(at / len(_FINGERS), 1.0, 1.0))
            cv2.line(canvas, a, b, colour, thickness=_HAND_LINE_PX)
    for point in placed:
        if point is not None:
            cv2.circle(canvas, point, _POINT_PX, (0, 0, 255), thickness=-1)


def _placed(canvas: Picture, points: Points) -> list[tuple[int, int] | None]:
    height, width = canvas.shape[:2]
    return [
        (int(point[0] * width), int(point[1] * height)) if point is not None and max(map(abs, point)) < _FAR else None
        for point in points
    ]
