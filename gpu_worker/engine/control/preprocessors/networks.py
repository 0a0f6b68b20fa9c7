"""controlnet-aux's networks without its package's side effects, and our weights in them.

Its own loaders would fetch from a hub and run pickles. Importing the package as a whole also imports everything it
has, which registers other models under timm's names and warns of libraries that nothing here uses.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.upscale.load import bad_model, read_weights

__all__ = ["Rename", "Third", "Weights", "aux", "built", "loaded", "loaded_by_shapes", "quietly"]

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Third:
    """One of query, key and value, where a file holds them as one tensor."""

    key: str
    n: int


Rename = Callable[[str], "str | Third"]
_PACKAGE = "controlnet_aux"
_WRAPPERS = ("state_dict", "model", "depth_model")
_COUNTER = ".num_batches_tracked"
"""Older files do not have it, and it does nothing."""
_FILLS = {
    torch.ops.aten.uniform_.default, torch.ops.aten.normal_.default, torch.ops.aten.erfinv_.default,
    torch.ops.aten.random_.default, torch.ops.aten.random_.to, getattr(torch.ops.aten.random_, "from"),
}  # fmt: skip


class _Unfilled(TorchDispatchMode):
    """Numbers that weights will replace are not drawn: it takes long, and moves torch's own generator on. They are
    zeros, because some are drawn anew until all are within bounds."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0].zero_() if func in _FILLS else func(*args, **(kwargs or {}))


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Prints and warnings of its making, and an environment variable that it sets, stay in here."""
    before = dict(os.environ)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]


def aux(module: str) -> Any:
    """A module of controlnet-aux by its name within the package. Raises EngineError `other` where it is missing."""
    if _PACKAGE not in sys.modules:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None:
            raise EngineError("other", "controlnet-aux is not installed", {"reason": "no_controlnet_aux"})
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    with quietly():
        return importlib.import_module(f"{_PACKAGE}.{module}")


def built(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """In float32 on the CPU, its weights not yet there."""
    with quietly(), _Unfilled(), torch.random.fork_rng(devices=[]):
        return make().float().eval().requires_grad_(False)


def loaded(
    path: Path, name: str, make: Callable[[], torch.nn.Module], rename: Rename = lambda key: key
) -> torch.nn.Module:
    """The network with the file's weights; `rename` turns its keys into theirs. Raises EngineError `bad_model`."""
    return loaded_by_shapes(path, name, lambda _: make(), rename)


def loaded_by_shapes(
    path: Path, name: str, make: Callable[[Weights], torch.nn.Module], rename: Rename = lambda key: key
) -> torch.nn.Module:
    """As `loaded`; `make` builds what the weights' shapes say. It may raise KeyError and ValueError."""
    weights = _unwrapped(read_weights(path, "annotator", name))
    try:
        network = built(lambda: make(weights))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise bad_model(path, repr(error), "annotator", name, "unknown_layout") from error
    wanted = {key: value for key, value in network.state_dict().items() if not key.endswith(_COUNTER)}
    found = {key: value for key in wanted if (value := _taken(weights, rename(key))) is not None}
    if not found:
        raise bad_model(path, f"none of its {len(weights)} keys", "annotator", name, "unknown_layout")
    for key, own in wanted.items():
        value = found.get(key)
        if value is None or value.shape != own.shape:
            have = "nothing" if value is None else tuple(value.shape)
            raise bad_model(path, f"{key}: {have} for {tuple(own.shape)}", "annotator", name, "corrupt")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise bad_model(path, f"{key}: not numbers", "annotator", name, "corrupt")
    torch.nn.Module.load_state_dict(network, found, strict=False)  # Zoe's own filters keys for older libraries
    return network


def _taken(weights: Weights, place: str | Third) -> torch.Tensor | None:
    if isinstance(place, str):
        return weights.get(place)
    whole = weights.get(place.key)
    return whole.chunk(3)[place.n] if whole is not None and whole.ndim and whole.shape[0] % 3 == 0 else None


def _unwrapped(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    for _ in range(2):
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), content)
    return {
        key.removeprefix("module."): value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
