"""What the weights must be for a call, and the one place that brings them there and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from gpu_worker.engine.adapters.beside import NetworksBeside
from gpu_worker.engine.adapters.merge import NetworkMerger
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.image_prompts.attention import AppliedImages, image_processors

__all__ = ["ModelState", "ModelStates"]


@dataclass(frozen=True, eq=False)
class ModelState:
    """Calls with equal keys can share one UNet batch, whoever asked for them."""

    checkpoint: Checkpoint
    networks: tuple[AppliedNetwork, ...] = ()
    tiling: bool = False
    images: AppliedImages | None = None

    @property
    def key(self) -> tuple[object, ...]:
        images = self.images.key if self.images is not None else None
        return id(self.checkpoint.unet), tuple(network.key for network in self.networks), self.tiling, images


class ModelStates:
    """Switches checkpoints from state to state. Nothing is undone between two calls that want the same."""

    def __init__(self) -> None:
        self._mergers: dict[int, NetworkMerger] = {}
        self._circular: dict[int, Any] = {}
        self._attending: dict[int, _Attending] = {}
        self._beside: dict[int, NetworksBeside] = {}

    def enter(self, state: ModelState) -> None:
        """Raises EngineError `bad_input` for a network that does not fit, before any weight is touched."""
        checkpoint = state.checkpoint
        self._attend(state)
        merger = self._mergers.get(id(checkpoint.unet))
        if merger is None:
            if not state.networks:
                self.tile(state)
                return
            merger = self._mergers[id(checkpoint.unet)] = NetworkMerger(checkpoint)
        merger.apply(state.networks)
        self.tile(state)

    def beside(self, checkpoint: Checkpoint) -> NetworksBeside:
        """For networks that some rows of a batch have alone."""
        return self._beside.setdefault(id(checkpoint.unet), NetworksBeside(checkpoint))

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Afterwards every weight and mode is as the checkpoints were loaded, whatever happened."""
        try:
            yield
        finally:
            for merger in self._mergers.values():
                merger.restore()
            for network in self._circular.values():
                _pad(network, "zeros")
            for attending in self._attending.values():
                attending.unet.set_attn_processor(dict(attending.own))
            self._mergers.clear()
            self._circular.clear()
            self._attending.clear()
            self._beside.clear()

    def _attend(self, state: ModelState) -> None:
        """Attention with or without pictures; a UNet's own processors come back as they were."""
        unet, images = state.checkpoint.unet, state.images
        attending = self._attending.get(id(unet))
        if attending is None:
            if images is None:
                return
            attending = self._attending[id(unet)] = _Attending(unet, dict(unet.attn_processors))
        wanted = images.key if images is not None else None
        if attending.now == wanted:
            return
        processors = image_processors(unet, images, state.checkpoint.name) if images is not None else attending.own
        unet.set_attn_processor(dict(processors))
        attending.now = wanted

    def tile(self, state: ModelState) -> None:
        """Convolutions alone, which is all that a VAE has of a state."""
        for network in (state.checkpoint.unet, state.checkpoint.vae):
            if state.tiling and id(network) not in self._circular:
                self._circular[id(network)] = network
                _pad(network, "circular")
            elif not state.tiling and self._circular.pop(id(network), None) is not None:
                _pad(network, "zeros")


@dataclass(eq=False)
class _Attending:
    """A UNet, the processors that it was loaded with, and whose it has now."""

    unet: Any
    own: dict[str, Any]
    now: tuple[object, ...] | None = None


def _pad(network: torch.nn.Module, mode: Literal["zeros", "circular"]) -> None:
    """A1111's tiling: every convolution of UNet and VAE wraps round (behaviours §21)."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.padding_mode = mode
