"""A model file to be read tensor by tensor: names, shapes and types at once, numbers on demand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open

from gpu_worker.convert.entries import DTYPES, Entry
from gpu_worker.convert.folder import open_folder
from gpu_worker.engine.checkpoints.pickles import DTYPES as PICKLED_DTYPES
from gpu_worker.engine.checkpoints.pickles import mapped_tensor
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.headers import HeaderError, read_header
from gpu_worker.language.layouts import folder_weights
from gpu_worker.language.pickles import PickledTensor, flat_tensors, read_pickled

__all__ = ["Source", "hashed_file", "open_source"]

ALIASES_LIMIT = 3
"""The tensors of a pickle may share memory; written out they may be this many times the file, and no more."""
WRAPPERS = ("state_dict", "params_ema", "params-ema", "params", "string_to_param")
_EMBEDDING = "string_to_param"


@dataclass(frozen=True)
class Source:
    name: str
    kind: str
    path: Path
    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
    _read: Callable[[str], torch.Tensor]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: entry.shape for key, entry in self.entries.items()}

    def read(self, key: str) -> torch.Tensor:
        """On the CPU, of the file's own type; it may be a view of the mapped file. Raises EngineError `bad_model`."""
        try:
            return self._read(key)
        except (SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise _bad(self.path, self.kind, self.name, "corrupt", repr(error)) from error


@contextlib.contextmanager
def open_source(path: Path, name: str, kind: str = "checkpoint") -> Iterator[Source]:
    """Whatever the suffix says, by what is in the file; a pickle through the reader that executes nothing; a
    checkpoint's diffusers folder as the file that it could be.

    `kind` and `name` are for messages. Raises EngineError `bad_model` with the problem `corrupt`, `unsafe`,
    `unknown_layout` or `unsupported` (a type of numbers that torch has not), and what `open_folder` raises.
    """
    if path.is_dir():
        with open_folder(path, name) as folder:
            yield Source(name, kind, path, folder.entries, folder.metadata, lambda key: folder.reads[key]())
        return
    try:
        header = read_header(path)
    except HeaderError as error:
        if error.problem != "pickled":
            raise _bad(path, kind, name, error.problem) from error
        yield _pickled(path, kind, name)
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(safe_open(path, framework="pt", device="cpu"))
            kinds = {key: str(file.get_slice(key).get_dtype()) for key in header.shapes}
        except (SafetensorError, OSError) as error:
            raise _bad(path, kind, name, "corrupt", repr(error)) from error
        foreign = next((key for key, dtype in kinds.items() if dtype not in DTYPES), None)
        if foreign is not None:
            raise _bad(path, kind, name, "unsupported", f"{foreign}: {kinds[foreign]}")
        entries = {key: Entry(shape, DTYPES[kinds[key]]) for key, shape in header.shapes.items()}
        yield Source(name, kind, path, entries, header.metadata, file.get_tensor)


def hashed_file(path: Path) -> Path:
    """The one file whose hash stands for a model: of a diffusers folder its UNet's."""
    return folder_weights(path / "unet") or path if path.is_dir() else path


def _pickled(path: Path, kind: str, name: str) -> Source:
    try:
        pickled = read_pickled(path)
        found = flat_tensors(pickled.content, WRAPPERS)
    except HeaderError as error:
        raise _bad(path, kind, name, error.problem) from error
    tensors = _embedding(pickled.content, found) or found
    if not tensors:
        raise _bad(path, kind, name, "unknown_layout", "no tensors by name")
    entries = {key: Entry(tensor.shape, PICKLED_DTYPES[tensor.storage.kind]) for key, tensor in tensors.items()}
    if sum(entry.size_bytes for entry in entries.values()) > ALIASES_LIMIT * path.stat().st_size:
        raise _bad(path, kind, name, "corrupt", "tensors of the same memory many times over")
    return Source(name, kind, path, entries, {}, lambda key: mapped_tensor(path, pickled, tensors[key]))


def _embedding(content: Any, found: Mapping[str, PickledTensor]) -> dict[str, PickledTensor]:
    """A1111's textual inversion has its one tensor below `string_to_param`, by any name; in safetensors it is called
    `emb_params` (behaviours §4)."""
    if not isinstance(content, dict) or _EMBEDDING not in cast("dict[Any, Any]", content) or len(found) != 1:
        return {}
    return {"emb_params": next(iter(found.values()))}


def _bad(path: Path, kind: str, name: str, problem: str, why: str = "") -> EngineError:
    return EngineError("bad_model", f"{path}: {why or problem}", {kind: name, "problem": problem})
