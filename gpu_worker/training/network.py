"""The network that is trained: peft's LoRA layers, or LyCORIS' LoHa and LoKr, put beside a checkpoint's modules.

Its tensors have the names of the file that comes of it, so that file, saved state and optimizer agree on the order.
Hu et al., "LoRA" (2021); Yeh et al., "Navigating Text-To-Image Customization" (LyCORIS, 2023).
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from gpu_worker.language.training.parameters import Parameters
from gpu_worker.training.targets import Target

__all__ = ["TrainedNetwork", "make_network"]

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class _Entry:
    name: str
    part: Literal["unet", "text"]
    parameter: torch.nn.Parameter


class TrainedNetwork:
    def __init__(self, entries: Sequence[_Entry], alphas: dict[str, float], modules: Sequence[Any]) -> None:
        self._entries = tuple(entries)
        self._alphas = alphas
        self._modules = tuple(modules)
        """Kept alive, for a changed forward alone does not hold them."""

    def parameters(self, part: Literal["unet", "text"]) -> list[torch.nn.Parameter]:
        return [entry.parameter for entry in self._entries if entry.part == part]

    def tensors(self) -> dict[str, Tensor]:
        """Copies in float32, in main memory."""
        return {entry.name: entry.parameter.detach().to("cpu", torch.float32, copy=True) for entry in self._entries}

    def file_tensors(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """What the file holds: `tensors` in `dtype`, and each module's alpha."""
        found = {name: tensor.to(dtype) for name, tensor in self.tensors().items()}
        found |= {f"{name}.alpha": torch.tensor(alpha, dtype=dtype) for name, alpha in self._alphas.items()}
        return dict(sorted(found.items()))

    def load(self, tensors: dict[str, Tensor]) -> None:
        """What `tensors` gave. Raises KeyError or RuntimeError where they are another network's."""
        with torch.no_grad():
            for entry in self._entries:
                entry.parameter.copy_(tensors[entry.name])


def make_network(targets: Sequence[Target], given: Parameters, seed: int) -> TrainedNetwork:
    """Changes the networks of `targets`, whose own weights stay as they are. It begins as no change at all: the second
    factor is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        make = _lora if given.algo == "lora" else _lycoris
        return make(targets, given)


def _size(target: Target, given: Parameters) -> tuple[int, float]:
    """Rank and alpha."""
    if not target.wide:
        return given.network_dim, given.alpha
    rank = given.conv_dim or given.network_dim
    return rank, (1.0 if given.conv_alpha is None else given.conv_alpha) or float(rank)


def _lora(targets: Sequence[Target], given: Parameters) -> TrainedNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own relations with other libraries
        from peft import LoraConfig, inject_adapter_in_model

    for network in dict.fromkeys(target.network for target in targets):
        own = [target for target in targets if target.network is network]
        wide = {f"^{re.escape(target.path)}$": _size(target, given) for target in own if target.wide}
        config = LoraConfig(
            r=given.network_dim,
            lora_alpha=given.alpha,  # pyright: ignore[reportArgumentType] (any number does)
            lora_dropout=given.network_dropout or 0.0,
            target_modules=[target.path for target in own],
            rank_pattern={path: size[0] for path, size in wide.items()},
            alpha_pattern={path: size[1] for path, size in wide.items()},
        )
        inject_adapter_in_model(config, network)
    entries: list[_Entry] = []
    for target in targets:
        layer = target.network.get_submodule(target.path)
        for factor, name in ((layer.lora_A, "lora_down"), (layer.lora_B, "lora_up")):
            # Beside a half-precision weight they were made as halves; what learns is float32.
            module = factor["default"].to(torch.float32)
            entries.append(_Entry(f"{target.name}.{name}.weight", target.part, module.weight))
    return TrainedNetwork(entries, {target.name: _size(target, given)[1] for target in targets}, ())


def _lycoris(targets: Sequence[Target], given: Parameters) -> TrainedNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lycoris.modules.loha import LohaModule
        from lycoris.modules.lokr import LokrModule

    # It would write to stdout, which is the worker's pipe.
    log = logging.getLogger("LyCORIS")
    log.handlers.clear()
    log.addHandler(logging.NullHandler())
    entries: list[_Entry] = []
    modules: list[Any] = []
    alphas: dict[str, float] = {}
    for target in targets:
        rank, alpha = _size(target, given)
        if given.algo == "loha":
            module: Any = LohaModule(target.name, target.module, 1.0, rank, alpha)  # pyright: ignore[reportArgumentType] (as above)
        else:
            module = LokrModule(target.name, target.module, 1.0, rank, alpha, factor=given.factor)  # pyright: ignore[reportArgumentType]
        module.to(target.module.weight.device, torch.float32)
        module.apply_to()
        modules.append(module)
        alphas[target.name] = float(module.alpha)  # LoKr has one of its own where no rank is left
        own = {id(parameter) for parameter in target.module.parameters()}
        entries += [
            _Entry(f"{target.name}.{name}", target.part, parameter)
            for name, parameter in _named(module)
            if id(parameter) not in own
        ]
    return TrainedNetwork(entries, alphas, modules)


def _named(module: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad)
