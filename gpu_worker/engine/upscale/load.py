"""Networks from picture to picture, from files whose layouts spandrel knows; the last used stay loaded."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from gpu_worker.engine.checkpoints.pickles import load_pickle
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.memory import is_out_of_memory
from gpu_worker.language.headers import HeaderError
from gpu_worker.language.models import ModelFile

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

__all__ = ["ImageModel", "Shelf", "bad_model", "load_image_model", "read_weights", "to_device"]

NUMBER_DIGITS_MAX = 4
"""Layouts are guessed from numbers in keys; a block of number 10**9 would have the library build as many."""
REASON_CHARS_MAX = 500
"""torch names every weight that does not fit."""

T = TypeVar("T")


@dataclass
class ImageModel:
    """A network and how precisely it runs now."""

    network: ImageModelDescriptor[Any]
    dtype: torch.dtype

    def use(self, dtype: torch.dtype) -> None:
        self.network.model.to(dtype)
        self.dtype = dtype


class Shelf(Generic[T]):
    """At most `limit` loaded models; the one unused longest goes first. A file that changed is loaded anew."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loaded: OrderedDict[tuple[str, int, int], T] = OrderedDict()

    def borrow(self, model: ModelFile, what: str, load: Callable[[Path], T]) -> T:
        """`what` is the key of the name in the error's detail. Raises EngineError."""
        try:
            stat = model.weights.stat()
        except OSError as error:
            raise EngineError("missing_model", f"{model.weights}: {error!r}", {what: model.fact.name}) from error
        stamp = (str(model.weights), stat.st_size, stat.st_mtime_ns)
        if stamp not in self._loaded:
            while len(self._loaded) >= self._limit:
                self._loaded.popitem(last=False)
            self._loaded[stamp] = load(model.weights)
        self._loaded.move_to_end(stamp)
        return self._loaded[stamp]

    def clear(self) -> None:
        self._loaded.clear()


def bad_model(path: Path, why: object, what: str, name: str, problem: str) -> EngineError:
    """`problem` is one of ModelFact's reason keys."""
    return EngineError("bad_model", f"{path}: {str(why)[:REASON_CHARS_MAX]}", {what: name, "problem": problem})


def read_weights(path: Path, what: str, name: str) -> dict[str, Any]:
    """What the file holds, most often tensors by key, on the CPU. Pickles are read without running them.

    Raises EngineError `bad_model`, its detail naming `name` under the key `what`.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            weights = load_pickle(path)
    except HeaderError as error:
        raise bad_model(path, repr(error), what, name, error.problem) from error
    except Exception as error:  # the readers raise whatever a damaged file leads them to
        if isinstance(error, MemoryError):
            raise
        raise bad_model(path, repr(error), what, name, "corrupt") from error
    if not isinstance(weights, dict):
        raise bad_model(path, f"a {type(weights).__name__}", what, name, "unknown_layout")
    return weights


def load_image_model(path: Path, what: str, name: str) -> ImageModel:
    """A network in float32 on the CPU. Raises EngineError `bad_model`.

    Layouts of the extra `codeformer` are read where that is installed.
    """
    import spandrel

    weights = spandrel.canonicalize_state_dict(read_weights(path, what, name))
    if not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in weights.items()):
        raise bad_model(path, "not only tensors", what, name, "unknown_layout")
    if any(len(number) > NUMBER_DIGITS_MAX for key in weights for number in re.findall(r"\d+", key)):
        raise bad_model(path, "keys with too large numbers", what, name, "corrupt")
    try:
        network = _network(weights)
    except spandrel.UnsupportedModelError as error:
        raise bad_model(path, repr(error), what, name, "unknown_layout") from error
    except MemoryError:
        raise
    except Exception as error:  # as above: weights that do not fit their own layout
        raise bad_model(path, repr(error), what, name, "corrupt") from error
    if not isinstance(network, spandrel.ImageModelDescriptor) or network.output_channels not in (1, 3, 4):
        raise bad_model(path, f"{network.architecture.id}: no pictures in, pictures out", what, name, "unsupported")
    network.model.float().eval().requires_grad_(False)
    return ImageModel(network, torch.float32)


def to_device(model: ImageModel, device: Device, what: str, name: str) -> None:
    """Onto the device, in half precision where that is its way and the network's. Raises EngineError `oom`."""
    if model.network.device.type == device.torch_device.type:
        return
    half = device.dtype == torch.float16 and model.network.supports_half
    try:
        model.network.model.to(device.torch_device)
        model.use(torch.float16 if half else torch.float32)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        model.network.model.cpu()
        raise EngineError("oom", f"{name}: {error!r}", {what: name}) from error


def _network(weights: dict[str, torch.Tensor]) -> Any:
    import spandrel

    try:
        return spandrel.MAIN_REGISTRY.load(weights)
    except spandrel.UnsupportedModelError:
        if find_spec("spandrel_extra_arches") is None:
            raise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # one of its layouts is compiled by torch.jit on import
        from spandrel_extra_arches import EXTRA_REGISTRY

    return EXTRA_REGISTRY.load(weights)
