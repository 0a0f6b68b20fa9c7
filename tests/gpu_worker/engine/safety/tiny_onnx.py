"""A classifier of three labels whose certainties are the mean red, green and blue: an ONNX file written by hand."""

from __future__ import annotations

import json
from pathlib import Path

SHEET = {
    "size": 16, "mean": [0, 0, 0], "std": [1, 1, 1], "activation": "none",
    "labels": ["nude", "neutral", "sexy"], "nude": ["nude"], "suggestive": ["sexy"],
}  # fmt: skip


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _tensor(name: str, *sides: int) -> bytes:
    shape = b"".join(_bytes(1, _number(1, side)) for side in sides)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, shape)))


def onnx_bytes(side: int = 16) -> bytes:
    """GlobalAveragePool over [1, 3, side, side]."""
    node = _bytes(1, "x") + _bytes(2, "y") + _bytes(4, "GlobalAveragePool")
    graph = _bytes(1, node) + _bytes(2, "g") + _bytes(11, _tensor("x", 1, 3, side, side))
    graph += _bytes(12, _tensor("y", 1, 3, 1, 1))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13))


def install(models: Path, name: str = "colours", **changes: object) -> Path:
    folder = models / "safety"
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{name}.onnx"
    weights.write_bytes(onnx_bytes())
    weights.with_suffix(".json").write_text(json.dumps(SHEET | changes))
    return weights
