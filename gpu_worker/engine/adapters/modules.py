"""The modules of a loaded checkpoint that LoRA-like networks can change, by every name a file may give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from gpu_worker.engine.adapters.key_names import Place, text_module_names, unet_module_names
from gpu_worker.engine.checkpoints.checkpoint import TextEncoder

__all__ = ["Changeable", "ModuleBook", "Modules"]

_KINDS = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.GroupNorm, torch.nn.LayerNorm)


@dataclass(frozen=True, eq=False)
class Changeable:
    module: Any
    """One of torch's linear, convolution and norm layers."""
    text: bool
    """Whether the prompt's text encoder weight goes for it."""


class Modules(Protocol):
    """A checkpoint, as far as its networks go."""

    @property
    def unet(self) -> Any: ...
    @property
    def text_encoders(self) -> tuple[TextEncoder, ...]: ...


class ModuleBook:
    def __init__(self, checkpoint: Modules) -> None:
        encoders = checkpoint.text_encoders
        texts = [_Names(encoder.model, text_module_names, text=True) for encoder in encoders]
        self._networks: dict[str, _Names] = {"unet": _Names(checkpoint.unet, unet_module_names, text=False)}
        if len(texts) == 1 and encoders[0].kind == "clip_g":
            self._networks["second"] = texts[0]  # SDXL's refiner
        elif len(texts) == 1:
            self._networks["only"] = self._networks["first"] = texts[0]
        elif len(texts) == 2:
            self._networks["first"], self._networks["second"] = texts

    def find(self, place: Place) -> Changeable | None:
        networks = self._networks.values() if place.network is None else (self._networks.get(place.network),)
        found = (network.find(place.module) for network in networks if network is not None)
        return next((module for module in found if module is not None), None)


class _Names:
    """Flat names of one network, found on first use."""

    def __init__(self, network: Any, names: Any, *, text: bool) -> None:
        self._network = network
        self._spell = names
        self._text = text
        self._known: Mapping[str, Changeable] | None = None

    def find(self, name: str) -> Changeable | None:
        if self._known is None:
            modules = dict(_layers(self._network))
            spelt: dict[str, str] = self._spell(modules)
            found = {module: Changeable(layer, self._text) for module, layer in modules.items()}
            self._known = {flat: found[module] for flat, module in spelt.items()}
        return self._known.get(name.removeprefix("text_model_") if self._text else name)


def _layers(network: Any) -> Iterable[tuple[str, Any]]:
    return ((name, layer) for name, layer in network.named_modules() if isinstance(layer, _KINDS))
