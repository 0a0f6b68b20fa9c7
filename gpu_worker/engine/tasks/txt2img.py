"""Text to pictures, with an optional second pass at a larger size."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.calls import Call, DecodeCall, EncodeCall, Picture, Task
from gpu_worker.engine.images.files import resized
from gpu_worker.engine.sampling.noise import ImageNoise, ImageSeed
from gpu_worker.engine.sampling.plan import SamplingPlan
from gpu_worker.engine.tasks.hires import hires_size, is_latent, upscaled_latents
from gpu_worker.protocol.specs import Hires, Txt2Img

__all__ = ["DrawPlan", "txt2img"]


@dataclass(frozen=True)
class DrawPlan:
    spec: Txt2Img
    sampling: SamplingPlan
    seeds: tuple[ImageSeed, ...]
    channels: int
    factor: int
    """Pixels to a side of a latent cell."""
    device: torch.device
    source: Picture | None = None
    """The picture that the second pass starts from; None draws the first pass."""

    def noise(self, height: int, width: int) -> ImageNoise:
        """A fresh source for one pass; sizes in latent cells."""
        return ImageNoise(self.seeds, (self.channels, height, width), self.device)


def txt2img(plan: DrawPlan) -> Task[list[Picture]]:
    """One picture for each of the plan's seeds."""
    hires = plan.spec.hires
    if hires is None:
        return (yield DecodeCall((yield from _first_pass(plan))))
    start = yield from _second_start(plan, hires)
    noise = plan.noise(start.shape[2], start.shape[3])
    steps = hires.steps or plan.spec.steps
    return (yield DecodeCall((yield from plan.sampling.from_latent(start, steps, hires.denoising_strength, noise))))


def _first_pass(plan: DrawPlan) -> Generator[Call, Any, torch.Tensor]:
    cells = plan.spec.height // plan.factor, plan.spec.width // plan.factor
    return (yield from plan.sampling.from_noise(plan.spec.steps, plan.noise(*cells)))


def _second_start(plan: DrawPlan, hires: Hires) -> Generator[Call, Any, torch.Tensor]:
    """Latents at the size of the second pass, one for each seed."""
    if plan.source is not None:
        height, width, _ = plan.source.shape
        target = hires_size(width, height, hires.scale)
        latent = yield EncodeCall([resized(plan.source, *target, hires.upscaler)])
        return latent.expand(len(plan.seeds), -1, -1, -1)
    target = hires_size(plan.spec.width, plan.spec.height, hires.scale)
    latents = yield from _first_pass(plan)
    if is_latent(hires.upscaler):
        return upscaled_latents(latents, target[1] // plan.factor, target[0] // plan.factor, hires.upscaler)
    pictures = yield DecodeCall(latents)
    return (yield EncodeCall([resized(picture, *target, hires.upscaler) for picture in pictures]))
