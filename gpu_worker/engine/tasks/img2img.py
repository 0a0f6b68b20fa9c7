"""A picture, or a part of it, drawn again: img2img, inpainting, outpainting (behaviours §9)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from gpu_worker.engine.calls import Call, DecodeCall, EncodeCall, Phase, Picture, Task
from gpu_worker.engine.conditioning.guide import Guide
from gpu_worker.engine.control.pasting import pasted_back
from gpu_worker.engine.images.colours import matched
from gpu_worker.engine.images.inpaint import PreparedInpaint
from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.engine.tasks.canvas import LATENT_RESIZE
from gpu_worker.engine.tasks.finish import finished
from gpu_worker.engine.tasks.model_inputs import conditioned
from gpu_worker.engine.tasks.passes import guided, kept
from gpu_worker.engine.tasks.plan import DrawPlan
from gpu_worker.protocol.specs import Img2Img

__all__ = ["img2img"]


Held = tuple[torch.Tensor, torch.Tensor | None]
"""The picture as a latent, and where it is drawn again: [1, 1, h, w] of 0 and 1, or None for all of it."""


def img2img(
    plan: DrawPlan,
    spec: Img2Img,
    canvas: PreparedInpaint,
    *,
    phase: Phase = "sampling",
    part: tuple[int, int] = (0, 1),
) -> Task[list[Picture]]:
    """One picture for each of the plan's seeds. Without a mask, `canvas.mask` is None. `part` is which of how many of
    such tasks this is, for the progress."""
    guide, held = yield from _start(plan, spec, canvas)
    pictures: list[Picture] = []
    for seeds, share in plan.batches():
        share = part[0] * share[1] + share[0], part[1] * share[1]
        latents = yield from _redrawn(plan, spec, guide, held, seeds, share, phase)
        drawn: list[Picture] = yield DecodeCall(latents, guide.state)
        drawn = pasted_back(drawn, guide.maps)
        drawn = yield from finished(plan, drawn, seeds, canvas.mask.drawn if canvas.mask else None)
        if spec.color_correction:
            drawn = [matched(picture, canvas.picture) for picture in drawn]
        pictures += [canvas.finish(picture) for picture in drawn]
    return pictures


def _start(plan: DrawPlan, spec: Img2Img, canvas: PreparedInpaint) -> Generator[Call, Any, tuple[Guide, Held]]:
    guide = plan.first.guide
    init = yield EncodeCall([canvas.picture], guide.state)
    if spec.resize_mode == LATENT_RESIZE:
        size = (spec.height // plan.factor, spec.width // plan.factor)
        init = torch.nn.functional.interpolate(init, size=size, mode="bilinear")
    guide = yield from conditioned(guide, init.shape[2], init.shape[3], canvas, spec.mask_weight)
    mask = canvas.latent_mask
    return guide, (init, None if mask is None else torch.from_numpy(mask)[None, None].to(init))


def _redrawn(
    plan: DrawPlan,
    spec: Img2Img,
    guide: Guide,
    held: Held,
    seeds: tuple[ImageSeed, ...],
    share: tuple[int, int],
    phase: Phase,
) -> Generator[Call, Any, torch.Tensor]:
    init, repaint = held
    init = init.expand(len(seeds), -1, -1, -1)
    content = spec.mask.content if spec.mask else "original"
    if repaint is not None and content == "latent noise":
        # The seeds' own first noise, whatever varies them, as in A1111.
        init = init * (1 - repaint) + plan.plain_noise(seeds, *init.shape[2:]).first() * repaint
    elif repaint is not None and content == "latent nothing":
        init = init * (1 - repaint)
    sampling = plan.first.sampling.from_latent(
        init,
        plan.noise(seeds, *init.shape[2:]),
        steps=spec.steps,
        strength=spec.denoising_strength,
        exact=spec.exact_steps,
        phase=phase,
        noise_multiplier=spec.noise_multiplier,
        extra_noise=spec.extra_noise,
    )
    if repaint is not None:
        sampling = kept(sampling, init, repaint, before=plan.first.sampling.timestep_based)
    return (yield from guided(sampling, guide, share))
