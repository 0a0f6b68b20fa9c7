"""The noise of a batch: one generator a picture, so that a picture of a batch is the picture of its seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gpu_worker.engine.sampling.brownian import BrownianTree
from gpu_worker.engine.sampling.streams import NoiseSource, Stream
from gpu_worker.protocol.specs import SEED_MAX, Drawing, Variation

__all__ = ["Brownian", "ImageNoise", "ImageSeed", "image_seeds", "slerp"]

_ALIKE = 0.9995
"""Mean cosine from which two noises count as parallel."""

Brownian = Callable[[float, float], torch.Tensor]
"""Noise [n, c, h, w] of the step from one sigma down to another: variance 1, and alike wherever steps overlap."""


@dataclass(frozen=True)
class ImageSeed:
    """The seed of one picture and its path of variations."""

    seed: int
    variations: tuple[Variation, ...] = ()


def image_seeds(spec: Drawing) -> tuple[ImageSeed, ...]:
    """Picture i has seed + i; with variations the seed stays and the last variation's seed counts up, as in A1111."""
    if not spec.variations:
        return tuple(ImageSeed((spec.seed + i) & SEED_MAX) for i in range(spec.count))
    *path, last = spec.variations
    return tuple(
        ImageSeed(spec.seed, (*path, Variation(seed=(last.seed + i) & SEED_MAX, strength=last.strength)))
        for i in range(spec.count)
    )


class ImageNoise:
    """Draws for all pictures of a batch at one latent size (behaviours §6).

    The first draw is the starting noise, moved along each picture's variations; later draws, one for each step of an
    ancestral sampler, come from the main seeds alone, moved by `ensd`. `resize_from` is the (height, width) in latent
    cells whose starting noise is laid into the middle of this size's.
    """

    def __init__(
        self,
        seeds: tuple[ImageSeed, ...],
        shape: tuple[int, int, int],
        device: torch.device,
        *,
        source: NoiseSource = "GPU",
        ensd: int = 0,
        resize_from: tuple[int, int] | None = None,
    ) -> None:
        self._seeds = seeds
        self._shape = shape
        self._device = device
        self._source: NoiseSource = source
        self._ensd = ensd
        self._small = shape if resize_from is None else (shape[0], *resize_from)
        self._streams = [Stream(source, seed.seed, device) for seed in seeds]

    def first(self) -> torch.Tensor:
        """The starting noise [n, c, h, w]; call it once, before any `next`."""
        drawn: list[torch.Tensor] = []
        for seed, stream in zip(self._seeds, self._streams, strict=True):
            if self._small == self._shape:
                drawn.append(self._varied(seed, stream.normal(self._shape)))
                continue
            # The small noise is a stream of its own, so that later draws are those of a drawing without resize.
            small = self._varied(seed, self._stream(seed.seed).normal(self._small))
            drawn.append(_laid_into(stream.normal(self._shape), small))
        if self._ensd:
            self._streams = [self._stream(seed.seed + self._ensd) for seed in self._seeds]
        return torch.stack(drawn)

    def next(self) -> torch.Tensor:
        """Fresh noise [n, c, h, w] for one step."""
        return torch.stack([stream.normal(self._shape) for stream in self._streams])

    def brownian(self, sigma_min: float, sigma_max: float) -> Brownian:
        """Noise for the SDE samplers over the whole schedule's positive sigmas: a tree for each picture.

        Of the main seeds alone: variations, ENSD and what was drawn before make no difference.
        """
        trees = [
            BrownianTree(s.seed, self._shape, sigma_min, sigma_max, source=self._source, device=self._device)
            for s in self._seeds
        ]

        def noise(sigma: float, target: float) -> torch.Tensor:
            low, high = sorted((sigma, target))
            sign = 1.0 if sigma < target else -1.0
            scale = sign / math.sqrt(high - low) if high > low else 0.0
            return torch.stack([tree.increment(low, high) for tree in trees]) * scale

        return noise

    def _stream(self, seed: int) -> Stream:
        return Stream(self._source, seed, self._device)

    def _varied(self, seed: ImageSeed, noise: torch.Tensor) -> torch.Tensor:
        for variation in seed.variations:
            target = self._stream(variation.seed).normal(tuple(noise.shape))
            noise = slerp(variation.strength, noise, target)
        return noise


def _laid_into(large: torch.Tensor, small: torch.Tensor) -> torch.Tensor:
    """`small` [c, h, w] in the middle of `large`, or the middle of `small` where it is the larger one."""
    cells: list[slice] = []
    taken: list[slice] = []
    for full, part in zip(large.shape[1:], small.shape[1:], strict=True):
        room = (full - part) // 2
        length = part if room >= 0 else part + 2 * room
        cells.append(slice(max(room, 0), max(room, 0) + length))
        taken.append(slice(max(-room, 0), max(-room, 0) + length))
    large[:, cells[0], cells[1]] = small[:, taken[0], taken[1]]
    return large


def slerp(share: float, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """A1111's spherical interpolation of [c, h, w] noises: angles are taken over the rows (dim 1), for each column.

    Nearly parallel noises are mixed linearly, and there A1111 has the operands swapped; kept, for the same pictures.
    """
    unit_low = low / torch.linalg.vector_norm(low, dim=1, keepdim=True)
    unit_high = high / torch.linalg.vector_norm(high, dim=1, keepdim=True)
    cosine = (unit_low * unit_high).sum(1)
    if cosine.mean() > _ALIKE:
        return low * share + high * (1 - share)
    angle = torch.acos(cosine.clamp(-1, 1)).unsqueeze(1)
    sine = torch.sin(angle)
    mixed = torch.sin((1 - share) * angle) / sine * low + torch.sin(share * angle) / sine * high
    # A single parallel column has no angle; A1111 would draw NaN there.
    return torch.where(sine.abs() < 1e-6, low * (1 - share) + high * share, mixed)
