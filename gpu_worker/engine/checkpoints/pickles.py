"""Tensors of a `.ckpt`, `.pt`, `.pth` or `.bin` file, found without executing anything (language/pickles.py)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gpu_worker.language.headers import HeaderError
from gpu_worker.language.pickles import Inert, PickledFile, PickledTensor, Storage, read_pickled

__all__ = ["DTYPES", "load_pickle", "mapped_tensor", "mapped_tensors"]

DTYPES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
"""By the classes of torch's storages."""
DEPTH_LIMIT = 16


def load_pickle(path: Path) -> Any:
    """What torch.load would give for plain contents: dicts, lists, values, tensors (in memory of their own). Classes
    become dicts of their entries, or None. Raises HeaderError `unsafe` or `corrupt`."""
    file = read_pickled(path)
    return _plain(file.content, _Bytes(path, file), 0)


def mapped_tensors(path: Path, file: PickledFile, tensors: Mapping[str, PickledTensor]) -> dict[str, torch.Tensor]:
    """Views of the mapped file, by the given names."""
    source = _Bytes(path, file)
    return {name: source.tensor(tensor) for name, tensor in tensors.items()}


def mapped_tensor(path: Path, file: PickledFile, tensor: PickledTensor) -> torch.Tensor:
    """One alone, a view of the mapped file or, where that is not aligned, a copy of no more than its own extent."""
    dtype = DTYPES[tensor.storage.kind]
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
    if 0 in tensor.shape:
        return torch.empty(tensor.shape, dtype=dtype)
    start = file.places[tensor.storage.key][0] + tensor.offset * dtype.itemsize
    raw = _mapped(path)[start : start + (last + 1) * dtype.itemsize]
    flat = (raw if start % dtype.itemsize == 0 else raw.clone()).view(dtype)
    return flat.as_strided(tensor.shape, tensor.stride, flat.storage_offset())


def _mapped(path: Path) -> torch.Tensor:
    size_bytes = path.stat().st_size
    if not size_bytes:
        return torch.empty(0, dtype=torch.uint8)
    storage = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=size_bytes)
    return torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload]


class _Bytes:
    """A file's storages. What `read_pickled` has checked is relied upon: every tensor lies within its storage."""

    def __init__(self, path: Path, file: PickledFile) -> None:
        self._places = file.places
        self._bytes = _mapped(path)
        self._storages: dict[str, torch.Tensor] = {}

    def tensor(self, tensor: PickledTensor) -> torch.Tensor:
        flat = self._storage(tensor.storage)
        return flat.as_strided(tensor.shape, tensor.stride, flat.storage_offset() + tensor.offset)

    def _storage(self, storage: Storage) -> torch.Tensor:
        if storage.key not in self._storages:
            dtype = DTYPES[storage.kind]
            start = self._places[storage.key][0]
            raw = self._bytes[start : start + storage.numel * dtype.itemsize]
            # Older files do not align their data.
            self._storages[storage.key] = (raw if start % dtype.itemsize == 0 else raw.clone()).view(dtype)
        return self._storages[storage.key]


def _plain(value: Any, source: _Bytes, depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise HeaderError("corrupt")
    if isinstance(value, PickledTensor):
        return source.tensor(value).clone()
    if isinstance(value, dict):
        return {key: _plain(entry, source, depth + 1) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, source, depth + 1) for entry in value]
    if isinstance(value, Inert):
        state = value.state if isinstance(value.state, dict) else {}
        entries = state.get("_parameters") or value.items
        return _plain(entries, source, depth + 1) if entries else None
    return value
