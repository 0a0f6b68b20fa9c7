"""Detectors as ONNX files written by hand: one that finds red squares, and ones that say the same whatever they see."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.gpu_worker.engine.safety.tiny_onnx import _bytes, _tensor

SIDE = 128
CELL = 32
"""The finder of red squares looks at 4 x 4 of these."""
_FLOAT, _INT64 = 1, 7


def red_squares(path: Path, *, names: str = "") -> Path:
    """[1, 5, 16]: each cell's box with its redness, which is above 0.9 for a red cell and below 0.1 for a grey one."""
    share = np.zeros((1, 3, CELL, CELL), np.float32)
    share[0, 0], share[0, 1:] = 20 / CELL**2, -20 / CELL**2
    rows, columns = np.mgrid[0:4, 0:4].reshape(2, -1)
    boxes = np.stack([columns * CELL + 16, rows * CELL + 16, np.full(16, CELL), np.full(16, CELL)])[None]
    nodes = [
        _node("Conv", ("x", "w", "b"), "y", strides=(CELL, CELL)),
        _node("Sigmoid", ("y",), "p"),
        _node("Reshape", ("p", "s"), "q"),
        _node("Concat", ("boxes", "q"), "out", axis=1),
    ]
    held = {
        "w": share, "b": np.array([-5], np.float32), "s": np.array([1, 1, 16], np.int64),
        "boxes": boxes.astype(np.float32),
    }  # fmt: skip
    return _written(path, nodes, held, (1, 3, SIDE, SIDE), {"out": (1, 5, 16)}, names)


def saying(path: Path, *answers: Any, shape: tuple[int | str, ...] = (1, 3, SIDE, SIDE), names: str = "") -> Path:
    """Gives these arrays, whatever it is shown."""
    arrays = {f"v{at}": np.asarray(answer, np.float32) for at, answer in enumerate(answers)}
    nodes = [_node("Identity", (name,), f"out{name}") for name in arrays]
    ends = {f"out{name}": array.shape for name, array in arrays.items()}
    return _written(path, nodes, arrays, shape, ends, names)


def boxed(*boxes: tuple[float, ...], classes: int = 1, class_of: int = 0) -> np.ndarray:
    """[1, 4 + classes, n] from (left, top, right, bottom, certainty)."""
    out = np.zeros((1, 4 + classes, max(16, len(boxes))), np.float32)
    for at, (left, top, right, bottom, score) in enumerate(boxes):
        out[0, :4, at] = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        out[0, 4 + class_of, at] = score
    return out


def _written(path: Path, nodes: list[bytes], held: dict, shape: tuple, ends: dict, names: str) -> Path:
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, "g")
    graph += b"".join(_bytes(5, _array(name, array)) for name, array in held.items())
    graph += _bytes(11, _entry("x", shape)) + b"".join(_bytes(12, _tensor(n, *sides)) for n, sides in ends.items())
    model = _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13))
    if names:
        model += _bytes(14, _bytes(1, "names") + _bytes(2, names))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model)
    return path


def _entry(name: str, sides: tuple[int | str, ...]) -> bytes:
    shape = b"".join(_bytes(1, _number(1, side) if isinstance(side, int) else _bytes(2, side)) for side in sides)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, shape)))


def _node(kind: str, given: tuple[str, ...], made: str, **attributes: int | tuple[int, ...]) -> bytes:
    node = b"".join(_bytes(1, name) for name in given) + _bytes(2, made) + _bytes(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            node += _bytes(5, _bytes(1, name) + _number(3, value) + _number(20, 2))
        else:
            node += _bytes(5, _bytes(1, name) + b"".join(_number(8, one) for one in value) + _number(20, 7))
    return node


def _array(name: str, array: np.ndarray) -> bytes:
    kind = _INT64 if array.dtype == np.int64 else _FLOAT
    data = struct.pack(f"<{array.size}{'q' if kind == _INT64 else 'f'}", *array.ravel())
    return b"".join(_number(1, side) for side in array.shape) + _number(2, kind) + _bytes(8, name) + _bytes(9, data)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
