"""Streams of normal noise: one seed each, the same values on every machine."""

from __future__ import annotations

import math
from typing import Literal

import torch

from gpu_worker.engine.sampling.philox import card_normals, processor_normals

__all__ = ["NoiseSource", "Stream", "first_normals"]

NoiseSource = Literal["GPU", "CPU", "NV"]
"""Where A1111 would draw. GPU and NV are the numbers of an NVIDIA card, CPU is torch's own generator."""

_SEEDS = 1 << 64


class Stream:
    """The draws of one seed; a seed outside 0 to 2**64 - 1 wraps round, as in torch."""

    def __init__(self, source: NoiseSource, seed: int, device: torch.device) -> None:
        self._seed = seed % _SEEDS
        self._device = device
        self._generator = torch.Generator("cpu").manual_seed(self._seed) if source == "CPU" else None
        self._calls = 0

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """The next draw: standard normal values, float32, on the stream's device."""
        if self._generator is not None:
            return torch.randn(shape, generator=self._generator, dtype=torch.float32).to(self._device)
        call, self._calls = self._calls, self._calls + 1
        return _philox([self._seed], call, math.prod(shape), self._device)[0].reshape(shape)


def first_normals(source: NoiseSource, seeds: list[int], shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """The first draw of each of several streams, [seeds, *shape]."""
    if source == "CPU":
        return torch.stack([Stream(source, seed, device).normal(shape) for seed in seeds])
    return _philox([seed % _SEEDS for seed in seeds], 0, math.prod(shape), device).reshape(len(seeds), *shape)


def _philox(seeds: list[int], call: int, count: int, device: torch.device) -> torch.Tensor:
    if device.type == "cuda":
        return card_normals(seeds, call, count, device)
    return torch.stack([torch.from_numpy(processor_normals(seed, call, count)) for seed in seeds]).to(device)
