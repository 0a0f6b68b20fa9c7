"""Everything a drawing task needs, found, loaded and encoded before its first call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gpu_worker.engine.conditioning.guide import Guide
from gpu_worker.engine.sampling.noise import ImageNoise, ImageSeed
from gpu_worker.engine.sampling.plan import SamplingPlan
from gpu_worker.protocol.specs import DetailFix, Drawing, Img2Img

__all__ = ["DetailPlan", "DrawPlan", "Pass"]


@dataclass(frozen=True)
class Pass:
    """One denoising pass."""

    sampling: SamplingPlan
    guide: Guide


@dataclass(frozen=True)
class DetailPlan:
    """One unit of detail fix."""

    unit: DetailFix
    spec: Img2Img
    """How a find is drawn; it has no picture of its own."""
    passes: tuple[Pass | None, ...]
    """By the number of the find, the last for all that follow; None leaves it as it is."""


@dataclass(frozen=True)
class DrawPlan:
    spec: Drawing
    seeds: tuple[ImageSeed, ...]
    first: Pass
    second: Pass | None = None
    """Of a hires fix."""
    details: tuple[DetailPlan, ...] = ()

    @property
    def device(self) -> torch.device:
        return self.first.guide.state.checkpoint.device.torch_device

    @property
    def factor(self) -> int:
        """Pixels to a side of a latent cell."""
        return self.first.guide.state.checkpoint.factor

    def batches(self) -> Iterator[tuple[tuple[ImageSeed, ...], tuple[int, int]]]:
        """The seeds that are drawn at once, with the batch's number and how many there are."""
        alone = any(part is not None and part.sampling.one_at_a_time for part in (self.first, self.second))
        size = 1 if alone else self.spec.batch_size or len(self.seeds)
        starts = range(0, len(self.seeds), size)
        for number, start in enumerate(starts):
            yield self.seeds[start : start + size], (number, len(starts))

    def plain_noise(self, seeds: tuple[ImageSeed, ...], height: int, width: int) -> ImageNoise:
        """Without variations and seed resize."""
        shape = (self.first.guide.state.checkpoint.latent_channels, height, width)
        plain = tuple(ImageSeed(seed.seed) for seed in seeds)
        return ImageNoise(plain, shape, self.device, source=self.spec.noise_source, ensd=self.spec.ensd)

    def noise(self, seeds: tuple[ImageSeed, ...], height: int, width: int) -> ImageNoise:
        """A fresh source for one pass; sizes in latent cells."""
        spec = self.spec
        resize = spec.seed_resize
        return ImageNoise(
            seeds,
            (self.first.guide.state.checkpoint.latent_channels, height, width),
            self.device,
            source=spec.noise_source,
            ensd=spec.ensd,
            resize_from=(resize[1] // self.factor, resize[0] // self.factor) if resize else None,
        )
