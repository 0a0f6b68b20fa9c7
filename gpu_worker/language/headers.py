"""The JSON header of a safetensors file: names, types and shapes of its tensors, without loading any.

Format: 8 bytes little-endian header length, the header, the data (github.com/huggingface/safetensors, README "Format").
Nothing in the file is trusted: lengths are checked against the file before anything is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

__all__ = ["HeaderError", "Shapes", "TensorHeader", "read_header"]

HEADER_LIMIT_BYTES = 100_000_000
"""The limit of the safetensors library itself."""

Shapes = dict[str, tuple[int, ...]]

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
    for name, entry in header.items():
        try:
            shape = tuple(int(size) for size in entry["shape"])
            start, end = entry["data_offsets"]
            whole = isinstance(entry["dtype"], str) and 0 <= start <= end <= data_bytes and min(shape, default=0) >= 0
        except (KeyError, TypeError, ValueError) as error:
            raise HeaderError("corrupt") from error
        if not whole:
            raise HeaderError("corrupt")
        shapes[name] = shape
    texts = cast("dict[Any, Any]", metadata) if isinstance(metadata, dict) else {}
    return TensorHeader(shapes, {str(key): str(value) for key, value in texts.items()})
