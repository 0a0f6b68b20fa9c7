"""DWPose: people by YOLOX, and 133 points of each by RTMPose, from the two published ONNX files.

controlnet-aux runs it through mmcv; this needs onnxruntime alone. Numbers are those of sd-webui-controlnet's ONNX way:
pictures go in as BGR, the points' means and deviations in that order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker
from gpu_worker.engine.control.preprocessors.skeletons import Person, Point, drawn
from gpu_worker.engine.upscale.load import bad_model

__all__ = ["WHOLE_BODIES"]

_DETECTOR, _POINTER = "yolox_l", "dw-ll_ucoco_384"
_BACKGROUND = 114
_STRIDES = (8, 16, 32)
_PERSON = 0
_CANDIDATE, _SURE, _OVERLAP = 0.1, 0.3, 0.45
_PEOPLE_MAX = 40
_AROUND = 1.25
_MEAN, _DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_BINS = 2.0
"""Of RTMPose's axes for each pixel."""
_POINTS, _BODY_POINTS = 133, 17
_SHOULDERS = (5, 6)
_TO = (1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17)
_FROM = (17, 6, 8, 10, 7, 9, 12, 14, 16, 13, 15, 2, 1, 4, 3)
"""Places of a body's points, OpenPose's and COCO's with the neck put in."""
_FACE, _HANDS = slice(24, 92), (slice(92, 113), slice(113, 134))


def _load(path: Path, name: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session: Any = onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
        shape = session.get_inputs()[0].shape
    except Exception as error:  # onnxruntime has a class of exceptions for each kind of damage
        raise bad_model(path, repr(error), "annotator", name, "corrupt") from error
    if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) and 32 <= side <= 2048 for side in shape[2:]):
        raise bad_model(path, f"takes {shape}", "annotator", name, "unknown_layout")
    return session


def _run(look: Look, name: str, batch: Floats) -> list[Any]:
    session = look.annotators.borrow(look.files[name], _load)
    try:
        return session.run(None, {session.get_inputs()[0].name: batch})
    except Exception as error:  # as above
        raise bad_model(look.files[name].weights, repr(error), "annotator", name, "corrupt") from error


def _sides(look: Look, name: str) -> tuple[int, int]:
    shape = look.annotators.borrow(look.files[name], _load).get_inputs()[0].shape
    return shape[2], shape[3]


def _whole_bodies(look: Look) -> Picture:
    mirrored = np.ascontiguousarray(look.seen[:, :, ::-1])
    height, width = look.seen.shape[:2]
    boxes = _people(look, mirrored)
    if boxes is None:
        return drawn((), height, width)
    if not len(boxes):
        boxes = np.array([[0, 0, width, height]], np.float32)
    return drawn([_person(look, mirrored, box) for box in boxes[:_PEOPLE_MAX]], height, width)


def _people(look: Look, picture: Picture) -> Floats | None:
    """Boxes of those it is sure of; None where it sees nothing at all, of any kind."""
    height, width = _sides(look, _DETECTOR)
    ratio = min(height / picture.shape[0], width / picture.shape[1])
    inner = max(1, int(picture.shape[1] * ratio)), max(1, int(picture.shape[0] * ratio))
    canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
    out = _run(look, _DETECTOR, canvas.transpose(2, 0, 1)[None].astype(np.float32))[0][0]
    grid = np.concatenate([_cells(height // stride, width // stride, stride) for stride in _STRIDES])
    if out.ndim != 2 or out.shape[0] != len(grid) or out.shape[1] < 6:
        raise bad_model(look.files[_DETECTOR].weights, f"gives {out.shape}", "annotator", _DETECTOR, "unknown_layout")
    with np.errstate(over="ignore"):
        centres, sizes = (out[:, :2] + grid[:, :2]) * grid[:, 2:], np.exp(out[:, 2:4]) * grid[:, 2:]
    boxes = np.nan_to_num(np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1) / ratio)
    scores = np.nan_to_num(out[:, 4:5] * out[:, 5:])
    if not (scores > _CANDIDATE).any():
        return None
    return _apart(boxes, scores[:, _PERSON])


def _cells(rows: int, columns: int, stride: int) -> Floats:
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    made: Floats = np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], axis=1).astype(np.float32)
    return made


def _apart(boxes: Floats, scores: Floats) -> Floats:
    """The best of those that overlap, best first."""
    order = [at for at in np.argsort(-scores, kind="stable") if scores[at] > _SURE]
    kept: list[Any] = []
    while order and len(kept) < _PEOPLE_MAX:
        best, *others = order
        kept.append(boxes[best])
        order = [at for at in others if _shared(boxes[best], boxes[at]) <= _OVERLAP]
    return np.array(kept, np.float32).reshape(-1, 4)


def _shared(one: Floats, other: Floats) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    both = float(np.prod(np.maximum(0.0, high - low + 1)))
    area = sum(float(np.prod(box[2:] - box[:2] + 1)) for box in (one, other))
    return both / max(area - both, 1e-9)


def _person(look: Look, picture: Picture, box: Floats) -> Person:
    height, width = _sides(look, _POINTER)
    centre, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * _AROUND
    extent = np.maximum(extent, 1.0)
    wide = width / height
    extent = np.array([max(extent[0], extent[1] * wide), max(extent[1], extent[0] / wide)])
    scale = width / extent[0]
    turn = np.array([[scale, 0, width / 2 - centre[0] * scale], [0, scale, height / 2 - centre[1] * scale]])
    cut: Any = cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_LINEAR)
    batch = ((cut - np.array(_MEAN)) / np.array(_DEVIATION)).transpose(2, 0, 1)[None].astype(np.float32)
    axes = _run(look, _POINTER, batch)
    if len(axes) < 2 or any(np.ndim(axis) != 3 or np.shape(axis)[:2] != (1, _POINTS) for axis in axes[:2]):
        shapes = [np.shape(axis) for axis in axes]
        raise bad_model(look.files[_POINTER].weights, f"gives {shapes}", "annotator", _POINTER, "unknown_layout")
    across, along = axes[0][0], axes[1][0]
    scores = np.minimum(across.max(axis=1), along.max(axis=1))
    places = np.stack([across.argmax(axis=1), along.argmax(axis=1)], axis=1) / _BINS
    found = places / (width, height) * extent + centre - extent / 2
    return _as_openpose(found / (picture.shape[1], picture.shape[0]), scores)


def _as_openpose(places: Any, scores: Any) -> Person:
    neck = places[list(_SHOULDERS)].mean(axis=0)
    neck_score = float((scores[list(_SHOULDERS)] > _SURE).all())
    places = np.insert(places, _BODY_POINTS, neck, axis=0)
    scores = np.insert(scores, _BODY_POINTS, neck_score)
    places[list(_TO)], scores[list(_TO)] = places[list(_FROM)], scores[list(_FROM)]

    def part(which: slice) -> list[Point | None]:
        return [
            (float(place[0]), float(place[1])) if score >= _SURE else None
            for place, score in zip(places[which], scores[which], strict=True)
        ]

    return Person(part(slice(18)), [part(hand) for hand in _HANDS], part(_FACE))


WHOLE_BODIES: dict[str, Maker] = {"dw_openpose_full": _whole_bodies}
