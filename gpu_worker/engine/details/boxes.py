"""What detectors of the YOLO family answer, read: boxes, certainties, classes and outlines (Jocher et al., YOLOv8).

Pictures go in on a grey canvas, in its middle. Answers are [4 + classes + outlines, n] with each box as its middle and
size in pixels of the canvas, or, of files that leave no overlaps, [n, 6] with corners, certainty and class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from gpu_worker.engine.calls import Floats, Picture

__all__ = ["Answer", "Canvas", "Found", "canvas_of", "read_answer"]

GREY = 114
CANDIDATES_MAX = 1000
FOUND_MAX = 100
OVERLAP_MAX = 0.7
BOX_MIN_PX = 1.0
ANSWERS_MAX = 300_000
"""Boxes that a network of 2048 pixels gives are 86,016."""


@dataclass(frozen=True)
class Canvas:
    """A picture as a network sees it."""

    pixels: Picture
    scale: float
    left: int
    top: int
    inner: tuple[int, int]
    """Width and height of the picture on it."""


@dataclass(frozen=True)
class Answer:
    rows: Floats
    """[4 + classes + outlines, n], or [n, 6]."""
    outlines: Floats | None = None
    """[outlines, h, w]: what a box's last numbers mix its outline of, over the whole canvas."""


@dataclass(frozen=True, eq=False)
class Found:
    """A box in pixels of the picture, right and bottom exclusive."""

    box: tuple[float, float, float, float]
    score: float
    kind: int
    outline: Floats | None = None
    """[height, width] of the picture, above 0 within it."""


def canvas_of(picture: Picture, width: int, height: int) -> Canvas:
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    pixels = np.full((height, width, 3), GREY, np.uint8)
    pixels[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
    return Canvas(pixels, scale, left, top, inner)


def read_answer(
    answer: Answer, canvas: Canvas, size: tuple[int, int], least: float, kinds: frozenset[int]
) -> list[Found]:
    """The surest first, none twice; `size` is the picture's width and height, no `kinds` are all. Raises ValueError for
    what no detector gives."""
    corners, scores, classes, mixes = _candidates(answer)
    with np.errstate(over="ignore", invalid="ignore"):
        corners = (corners - (canvas.left, canvas.top, canvas.left, canvas.top)) / canvas.scale
    usable = np.isfinite(corners).all(axis=1) & np.isfinite(scores) & (scores >= least) & (scores > 0)
    if kinds:
        usable &= np.isin(classes, sorted(kinds))
    order = np.flatnonzero(usable)
    order = order[np.argsort(-scores[order], kind="stable")][:CANDIDATES_MAX]
    boxes = corners[order].clip(0, (size[0], size[1]) * 2)
    found: list[Found] = []
    for at in _apart(boxes, classes[order]):
        which, box = order[at], boxes[at]
        if min(box[2] - box[0], box[3] - box[1]) < BOX_MIN_PX:
            continue
        outline = _outline(answer.outlines, mixes[which], canvas, size) if answer.outlines is not None else None
        kept = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        found.append(Found(kept, float(min(1.0, scores[which])), int(classes[which]), outline))
    return found


def _candidates(answer: Answer) -> tuple[Floats, Floats, Any, Floats]:
    """Corners [n, 4], certainties [n], classes [n], and what mixes the outlines [n, outlines]."""
    rows = np.asarray(answer.rows, np.float32)
    if rows.ndim != 2 or max(rows.shape) > ANSWERS_MAX:
        raise ValueError(f"an answer of {rows.shape}")
    outlines = len(answer.outlines) if answer.outlines is not None else 0
    if rows.shape[1] == 6 + outlines and rows.shape[0] >= rows.shape[1]:
        numbers = np.nan_to_num(rows[:, 5], posinf=-1, neginf=-1).clip(-1, 1e6).astype(np.int64)
        return rows[:, :4], rows[:, 4], numbers, rows[:, 6:]
    if rows.shape[0] > rows.shape[1]:
        rows = rows.T
    kinds = rows.shape[0] - 4 - outlines
    if kinds < 1:
        raise ValueError(f"an answer of {rows.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        half = rows[2:4] / 2
        corners = np.concatenate([rows[:2] - half, rows[:2] + half]).T
    sure = np.nan_to_num(rows[4 : 4 + kinds], nan=0, posinf=0, neginf=0)
    return corners.astype(np.float32), sure.max(axis=0), sure.argmax(axis=0), rows[4 + kinds :].T


def _apart(boxes: Floats, classes: Any) -> list[int]:
    """Places of the best of those of one class that overlap, best first."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and len(kept) < FOUND_MAX:
        best, others = left[0], left[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[best, :2], boxes[others, :2]), np.minimum(boxes[best, 2:], boxes[others, 2:])
        both = np.prod((high - low).clip(0), axis=1)
        shared = both / np.maximum(areas[best] + areas[others] - both, 1e-9)
        left = others[(shared <= OVERLAP_MAX) | (classes[others] != classes[best])]
    return kept


def _outline(outlines: Floats, mix: Floats, canvas: Canvas, size: tuple[int, int]) -> Floats | None:
    if not np.isfinite(mix).all():
        return None
    height, width = canvas.pixels.shape[:2]
    with np.errstate(over="ignore", invalid="ignore"):
        mixed = np.nan_to_num(np.tensordot(mix, outlines, axes=1)).clip(-1e4, 1e4)
    whole = np.asarray(cv2.resize(mixed.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR))
    part = whole[canvas.top : canvas.top + canvas.inner[1], canvas.left : canvas.left + canvas.inner[0]]
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.float32)
