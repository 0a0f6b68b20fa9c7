"""Text to pictures, with an optional second pass at a larger size (behaviours §8)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from gpu_worker.engine.calls import Call, DecodeCall, EncodeCall, Picture, Task, UpscaleCall
from gpu_worker.engine.conditioning.guide import Guide
from gpu_worker.engine.control.pasting import pasted_back
from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.engine.tasks.finish import finished
from gpu_worker.engine.tasks.hires import is_latent, upscaled_latents
from gpu_worker.engine.tasks.model_inputs import conditioned
from gpu_worker.engine.tasks.passes import guided
from gpu_worker.engine.tasks.plan import DrawPlan
from gpu_worker.engine.tasks.tiled import redrawn_in_tiles
from gpu_worker.language.passes import HiresTarget, hires_target
from gpu_worker.protocol.specs import Hires

__all__ = ["txt2img"]

Seeds = tuple[ImageSeed, ...]
Share = tuple[int, int]
Start = tuple[torch.Tensor, Guide]
"""Latents at the size of the second pass, one for each seed or one for all, and the guide they go on under."""


def txt2img(plan: DrawPlan, hires: Hires | None, source: Picture | None = None) -> Task[list[Picture]]:
    """One picture for each of the plan's seeds. With `source` the first pass is skipped and the second starts there."""
    if hires is not None and hires.tile_px:
        return (yield from _in_tiles(plan, hires, source))
    start = (yield from _from_source(plan, hires, source)) if hires is not None and source is not None else None
    pictures: list[Picture] = []
    for seeds, share in plan.batches():
        if hires is None:
            guide, latents = yield from _first_pass(plan, seeds, share)
        else:
            begun = start or (yield from _second_start(plan, hires, seeds, share))
            guide, latents = yield from _second_pass(plan, hires, begun, seeds, share)
        drawn: list[Picture] = yield DecodeCall(latents, guide.state)
        pictures += yield from finished(plan, pasted_back(drawn, guide.maps), seeds)
    return pictures


def _in_tiles(plan: DrawPlan, hires: Hires, source: Picture | None) -> Task[list[Picture]]:
    """Each picture enlarged, and drawn again tile by tile."""
    pictures: list[Picture] = []
    count = len(plan.seeds)
    for number, seed in enumerate(plan.seeds):
        first = source
        if first is None:
            _, latents = yield from _first_pass(plan, (seed,), (number, count))
            (first,) = yield DecodeCall(latents, plan.first.guide.state)
        height, width, _ = first.shape
        target = hires_target(width, height, hires.scale, hires.resize_width, hires.resize_height)
        enlarged: list[Picture] = yield UpscaleCall([first], *target.upscale_to, hires.upscaler)
        whole = _centred(enlarged[0], *target.final)
        drawn = yield from redrawn_in_tiles(plan, hires, whole, seed, (number, count))
        pictures += yield from finished(plan, [drawn], (seed,))
    return pictures


def _centred(picture: Picture, width: int, height: int) -> Picture:
    """What covers more than the size that was asked for is cut off."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def _first_pass(plan: DrawPlan, seeds: Seeds, share: Share) -> Generator[Call, Any, tuple[Guide, torch.Tensor]]:
    spec, sampling = plan.spec, plan.first.sampling
    height, width = spec.height // plan.factor, spec.width // plan.factor
    guide = yield from conditioned(plan.first.guide, height, width)
    latents = yield from guided(sampling.from_noise(spec.steps, plan.noise(seeds, height, width)), guide, share)
    return guide, latents


def _second_pass(
    plan: DrawPlan, hires: Hires, begun: Start, seeds: Seeds, share: Share
) -> Generator[Call, Any, tuple[Guide, torch.Tensor]]:
    assert plan.second is not None, "a hires fix has a second pass"
    latents, guide = begun
    latents = latents.expand(len(seeds), -1, -1, -1)
    sampling = plan.second.sampling.from_latent(
        latents,
        plan.noise(seeds, latents.shape[2], latents.shape[3]),
        steps=hires.steps or plan.spec.steps,
        strength=hires.denoising_strength,
        exact=True,
        phase="hires",
    )
    return guide, (yield from guided(sampling, guide, share))


def _from_source(plan: DrawPlan, hires: Hires, source: Picture) -> Generator[Call, Any, Start]:
    """One start for all seeds."""
    assert plan.second is not None, "a hires fix has a second pass"
    height, width, _ = source.shape
    target = hires_target(width, height, hires.scale, hires.resize_width, hires.resize_height)
    enlarged = yield UpscaleCall([source], *target.upscale_to, hires.upscaler)
    return (yield from _encoded(enlarged, plan.second.guide, target))


def _second_start(plan: DrawPlan, hires: Hires, seeds: Seeds, share: Share) -> Generator[Call, Any, Start]:
    """The first pass, brought to the size of the second."""
    assert plan.second is not None, "a hires fix has a second pass"
    guide = plan.second.guide
    target = hires_target(plan.spec.width, plan.spec.height, hires.scale, hires.resize_width, hires.resize_height)
    _, latents = yield from _first_pass(plan, seeds, share)
    if is_latent(hires.upscaler):
        width, height = (side // plan.factor for side in target.upscale_to)
        start = _truncated(upscaled_latents(latents, height, width, hires.upscaler), target)
        return start, (yield from conditioned(guide, start.shape[2], start.shape[3]))
    pictures = yield DecodeCall(latents, plan.first.guide.state)
    enlarged = yield UpscaleCall(pictures, *target.upscale_to, hires.upscaler)
    return (yield from _encoded(enlarged, guide, target))


def _encoded(pictures: list[Picture], guide: Guide, target: HiresTarget) -> Generator[Call, Any, Start]:
    latents = _truncated((yield EncodeCall(pictures, guide.state)), target)
    return latents, (yield from conditioned(guide, latents.shape[2], latents.shape[3]))


def _truncated(latents: torch.Tensor, target: HiresTarget) -> torch.Tensor:
    """What covers more than the size that was asked for is cut off, half at each side (behaviours §8.1)."""
    left, top, right, bottom = target.cut
    return latents[:, :, top : latents.shape[2] - bottom, left : latents.shape[3] - right]
