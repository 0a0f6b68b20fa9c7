"""Streams of normal noise: one seed each, the same values on every machine."""

from __future__ import annotations

from typing import Literal, Protocol

import torch

from gpu_worker.engine.sampling.philox import Philox

__all__ = ["NoiseSource", "Stream", "open_stream"]

NoiseSource = Literal["GPU", "CPU", "NV"]
"""Where A1111 would draw. GPU and NV are the numbers of an NVIDIA card, CPU is torch's own generator."""

_SEEDS = 1 << 64


class Stream(Protocol):
    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """The next draw: standard normal values, float32, on the CPU."""
        ...


class _Card:
    def __init__(self, seed: int) -> None:
        self._philox = Philox(seed)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(self._philox.normal(shape))


class _Processor:
    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator("cpu").manual_seed(seed)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self._generator, dtype=torch.float32)


def open_stream(source: NoiseSource, seed: int) -> Stream:
    """A fresh stream; a seed outside 0 to 2**64 - 1 wraps round, as in torch."""
    return _Processor(seed % _SEEDS) if source == "CPU" else _Card(seed % _SEEDS)
