"""The noise of a batch: one generator a picture, so that a picture of a batch is the picture of its seed alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gpu_worker.engine.sampling.philox import Philox
from gpu_worker.protocol.specs import SEED_MAX, Txt2Img, Variation

__all__ = ["ImageNoise", "ImageSeed", "image_seeds", "slerp"]

_ALIKE = 0.9995
"""Mean cosine from which two noises count as parallel."""


@dataclass(frozen=True)
class ImageSeed:
    """The seed of one picture and its path of variations."""

    seed: int
    variations: tuple[Variation, ...] = ()


def image_seeds(spec: Txt2Img) -> tuple[ImageSeed, ...]:
    """Picture i has seed + i; with variations the seed stays and the last variation's seed counts up, as in A1111."""
    if not spec.variations:
        return tuple(ImageSeed((spec.seed + i) & SEED_MAX) for i in range(spec.count))
    *path, last = spec.variations
    return tuple(
        ImageSeed(spec.seed, (*path, Variation(seed=(last.seed + i) & SEED_MAX, strength=last.strength)))
        for i in range(spec.count)
    )


class ImageNoise:
    """Draws for all pictures of a batch at one latent size.

    The first draw is the starting noise, moved along each picture's variations; later draws, one for each step of an
    ancestral sampler, come from the main seeds alone.
    """

    def __init__(self, seeds: tuple[ImageSeed, ...], shape: tuple[int, int, int], device: torch.device) -> None:
        self._seeds = seeds
        self._shape = shape
        self._device = device
        self._streams = [Philox(seed.seed) for seed in seeds]

    def first(self) -> torch.Tensor:
        """The starting noise [n, c, h, w]; call it once, before any `next`."""
        drawn: list[torch.Tensor] = []
        for seed, stream in zip(self._seeds, self._streams, strict=True):
            noise = torch.from_numpy(stream.normal(self._shape))
            for variation in seed.variations:
                target = torch.from_numpy(Philox(variation.seed).normal(self._shape))
                noise = slerp(variation.strength, noise, target)
            drawn.append(noise)
        return torch.stack(drawn).to(self._device)

    def next(self) -> torch.Tensor:
        """Fresh noise [n, c, h, w] for one step."""
        return torch.stack([torch.from_numpy(s.normal(self._shape)) for s in self._streams]).to(self._device)


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
