"""Writes a safetensors file tensor by tensor, always the same bytes for the same tensors and metadata.

Order: wider types first and by key among equals, so that every tensor is aligned. The file appears under its name only
when it is whole and on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from gpu_worker.convert.entries import DTYPES, Entry
from gpu_worker.engine.errors import EngineError

__all__ = ["Made", "Planned", "write_safetensors"]

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
PIECE_BYTES = 16 << 20
SPARE_BYTES = 256 << 20
"""What stays free on the disk, for the database and pictures."""


@dataclass(frozen=True)
class Planned:
    """A tensor that will be written; `make` is called when its turn comes, and its result let go of at once."""

    entry: Entry
    make: Callable[[], torch.Tensor]
    own: torch.dtype | None = None
    """The type that the file had which it was computed from; None: the entry's."""


@dataclass(frozen=True)
class Made:
    path: Path
    sha256: str
    size_bytes: int


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Planned],
    metadata: Mapping[str, str],
    *,
    check: Callable[[], None] = lambda: None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> Made:
    """`check` raises to stop; `report` is told MiB. Raises EngineError `disk_full` before the first byte, or OSError;
    whatever is raised, nothing is left."""
    order = sorted(tensors, key=lambda key: (-tensors[key].entry.dtype.itemsize, key))
    header = _header(order, tensors, metadata)
    size_bytes = len(header) + sum(planned.entry.size_bytes for planned in tensors.values())
    _require_room(path.parent, size_bytes)
    part = path.with_name(path.name + ".part")
    digest = hashlib.sha256(header)
    try:
        with part.open("wb") as file:
            file.write(header)
            done = len(header)
            for key in order:
                for piece in _pieces(key, tensors[key]):
                    check()
                    file.write(piece)
                    digest.update(piece)
                    done += len(piece)
                    report(done >> 20, size_bytes >> 20)
            check()
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Made(path, digest.hexdigest(), size_bytes)


def _header(order: list[str], tensors: Mapping[str, Planned], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for key in order:
        entry = tensors[key].entry
        end = at + entry.size_bytes
        header[key] = {"dtype": _NAMES[entry.dtype], "shape": list(entry.shape), "data_offsets": [at, end]}
        at = end
    raw = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _pieces(key: str, planned: Planned) -> Iterator[memoryview]:
    tensor = planned.make()
    if (tuple(tensor.shape), tensor.dtype) != (planned.entry.shape, planned.entry.dtype):
        raise AssertionError(f"{key}: {tensor.shape} {tensor.dtype} is not {planned.entry}")
    if not tensor.numel():
        return
    data = memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())  # pyright: ignore[reportArgumentType]
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def _require_room(folder: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size_bytes + SPARE_BYTES:
        detail = {"needed_bytes": size_bytes + SPARE_BYTES, "free_bytes": free}
        raise EngineError("disk_full", f"{size_bytes} bytes do not fit, {free} are free", detail)
