"""A model file opened for reading: names, shapes, and single tensors on demand, whatever its format.

Tensors are views of the mapped file; what is not asked for (EMA copies, optimizer state) is never read from disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from gpu_worker.engine.checkpoints.pickles import mapped_tensors
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.headers import HeaderError, read_header
from gpu_worker.language.pickles import flat_tensors, read_pickled

__all__ = ["WeightsFile", "open_weights"]


@dataclass(frozen=True)
class WeightsFile:
    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    _read: Callable[[list[str]], dict[str, torch.Tensor]]

    def read(self, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """Tensors on the CPU by name, in the types of the file. The file must not be changed while they are in use."""
        return self._read(list(names))

    def below(self, prefix: str) -> dict[str, torch.Tensor]:
        return self.read(name for name in self.shapes if name.startswith(prefix))


def open_weights(path: Path, detail: Mapping[str, str]) -> WeightsFile:
    """Raises EngineError `bad_model` with `detail` and a problem: `unsafe` or `corrupt`."""
    try:
        try:
            header = read_header(path)
        except HeaderError as error:
            if error.problem != "pickled":
                raise
        else:
            return WeightsFile(header.shapes, header.metadata, lambda names: _safetensors(path, names))
        pickled = read_pickled(path)
    except HeaderError as error:
        raise EngineError("bad_model", f"{path}: {error.problem}", {**detail, "problem": error.problem}) from error
    tensors = flat_tensors(pickled.content)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return WeightsFile(shapes, {}, lambda names: mapped_tensors(path, pickled, {n: tensors[n] for n in names}))


def _safetensors(path: Path, names: list[str]) -> dict[str, torch.Tensor]:
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in names}
