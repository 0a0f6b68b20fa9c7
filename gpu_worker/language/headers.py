"""The JSON header of a safetensors file: names, types and shapes of its tensors, without loading any.

Format: 8 bytes little-endian header length, the header, the data (github.com/huggingface/safetensors, README "Format").
Nothing in the file is trusted: lengths are checked against the file before anything is read, and the tensors must fill
the data without a gap, as the library that loads them demands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

__all__ = ["HeaderError", "Shapes", "TensorHeader", "read_header"]

HEADER_LIMIT_BYTES = 100_000_000
"""The limit of the safetensors library itself."""
OBJECTS_LIMIT = 500_000
"""Braces and brackets in a header, three or so for each tensor: parsed, each costs a hundred times its byte."""
DIMENSION_LIMIT = 64
"""torch's own."""

Shapes = dict[str, tuple[int, ...]]

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4,
    "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip

_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""A zip (torch.save since 1.6) and the pickle protocols before it."""


class HeaderError(Exception):
    """The file cannot be used; `problem` is `pickled` or `corrupt`."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class TensorHeader:
    shapes: Shapes
    metadata: dict[str, str]
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """How many numbers there are of each type, by safetensors' name of it."""


def read_header(path: Path) -> TensorHeader:
    """Raises HeaderError for anything but a whole safetensors file, and for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= length <= min(size_bytes - 8, HEADER_LIMIT_BYTES):
                raise HeaderError(_reason(start))
            raw = file.read(length)
    except OSError as error:
        raise HeaderError("corrupt") from error
    if raw.count(b"{") + raw.count(b"[") > OBJECTS_LIMIT:
        raise HeaderError(_reason(start))
    try:
        header: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise HeaderError(_reason(start)) from error
    if not isinstance(header, dict):
        raise HeaderError("corrupt")
    return _checked(cast("dict[str, Any]", header), size_bytes - 8 - length)


def _reason(start: bytes) -> str:
    return "pickled" if start.startswith(_PICKLE_STARTS) else "corrupt"


def _checked(header: dict[str, Any], data_bytes: int) -> TensorHeader:
    metadata = header.pop("__metadata__", None)
    shapes: Shapes = {}
    counts: dict[str, int] = {}
    places: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            numbers = _numbers(shape, data_bytes)
            whole = type(start) is int and type(end) is int and 0 <= start <= end <= data_bytes
            if not whole or numbers * _BITS[kind] != (end - start) * 8:
                raise HeaderError("corrupt")
        except (KeyError, TypeError, ValueError) as error:
            raise HeaderError("corrupt") from error
        shapes[name] = shape
        counts[kind] = counts.get(kind, 0) + numbers
        places.append((start, end))
    at = 0
    for start, end in sorted(places):
        if start != at:
            raise HeaderError("corrupt")  # a gap, or two tensors of the same bytes
        at = end
    if at != data_bytes:
        raise HeaderError("corrupt")
    texts = cast("dict[Any, Any]", metadata) if isinstance(metadata, dict) else {}
    return TensorHeader(shapes, {str(key): str(value) for key, value in texts.items()}, counts)


def _numbers(shape: tuple[Any, ...], data_bytes: int) -> int:
    """How many a tensor of this shape has. Raises HeaderError."""
    if len(shape) > DIMENSION_LIMIT:
        raise HeaderError("corrupt")
    numbers = 1
    for size in shape:
        # No type has less than four bits; a larger number would only make the product costly.
        if type(size) is not int or not 0 <= size <= data_bytes * 2:
            raise HeaderError("corrupt")
        numbers *= size
    return numbers
