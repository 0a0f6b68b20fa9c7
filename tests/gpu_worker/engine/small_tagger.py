"""A tagger in the layout of the WD14 ones, made by hand: its tags are the mean blue, green and red of a picture."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["TABLE", "write_tagger"]

TABLE = "tag_id,name,category,count\n0,mostly_blue,0,9\n1,mostly_green,4,9\n2,mostly_red,0,9\n"


def _varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _value(name: str, dims: tuple[int | str, ...]) -> bytes:
    shape = b"".join(_field(1, _field(1, dim) if isinstance(dim, int) else _field(2, dim)) for dim in dims)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, shape)))


def write_tagger(folder: Path, *, side: int = 32, channels_first: bool = False, table: str | None = TABLE) -> Path:
    """`model.onnx`, and its table unless that is None."""
    axes = (2, 3) if channels_first else (1, 2)
    ints = b"".join(_field(8, axis) for axis in axes)
    mean = _field(1, "input_1:0") + _field(2, "mean") + _field(4, "ReduceMean")
    mean += _field(5, _field(1, "axes") + ints + _field(20, 7))
    mean += _field(5, _field(1, "keepdims") + _field(3, 0) + _field(20, 2))
    share = _field(1, "mean") + _field(1, "most") + _field(2, "predictions_sigmoid") + _field(4, "Div")
    most = _field(2, 1) + _field(8, "most") + _field(9, struct.pack("<f", 255))
    dims = ("N", 3, side, side) if channels_first else ("N", side, side, 3)
    graph = _field(1, mean) + _field(1, share) + _field(2, "tagger") + _field(5, most)
    graph += _field(11, _value("input_1:0", dims)) + _field(12, _value("predictions_sigmoid", ("N", 3)))
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    if table is not None:
        (folder / "selected_tags.csv").write_text(table, encoding="utf-8")
    return folder / "model.onnx"
