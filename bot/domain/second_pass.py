"""The second pass (hires fix) of a request: whether there is one, its own parameters, and the size it ends at."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.domain.limits import Limits
from bot.domain.models import LATENT_UPSCALERS, find_partner, find_upscaler
from bot.domain.parameters import Parameters
from bot.domain.samplers import choose_sampler, choose_schedule
from bot.domain.sizes import hires_target
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Hires

__all__ = ["LATENT_DENOISING", "build_hires", "check_target", "upscale_denoising", "wants_hires"]

DEFAULT_SCALE = 2.0
LATENT_DENOISING = 0.7
"""A1111's; with less a latent that was enlarged stays blurred (behaviours §8)."""
_OWN = (
    "hires_upscaler", "hires_steps", "hires_sampler", "hires_schedule", "hires_checkpoint", "hires_prompt",
    "hires_negative",
)  # fmt: skip


def wants_hires(wishes: Parameters) -> bool:
    """A scale or a size asks for one, and so does any parameter of it, unless the scale is switched off."""
    if wishes.hires_scale is not None or wishes.hires_size is not None:
        return bool(wishes.hires_scale) or any(wishes.hires_size or ())
    return any(getattr(wishes, name) for name in _OWN)


def upscale_denoising(checkpoint: ModelFact) -> float | None:
    """What this checkpoint bears without drawing everything anew, where it is known."""
    return (checkpoint.defaults or {}).get("upscale_denoising")


def build_hires(
    wishes: Parameters, size: tuple[int, int], checkpoint: ModelFact, facts: Sequence[ModelFact], limits: Limits
) -> Hires | None:
    """`size` is that of the first pass in pixels; ranges are checked already.

    Raises UserFacingError: those of `find_upscaler`, `find_partner` and `choose_sampler`, `denoising_range`,
    `hires_smaller`, `hires_too_large`.
    """
    if not wants_hires(wishes):
        return None
    scale, resize = wishes.hires_scale or DEFAULT_SCALE, wishes.hires_size or (0, 0)
    _check_target(size, hires_target(size, scale, resize), limits)
    upscaler = find_upscaler(wishes.hires_upscaler or "Lanczos", facts)
    sampler, schedule = _sampler(wishes)
    hires = Hires(
        scale=scale,
        resize_width=resize[0],
        resize_height=resize[1],
        upscaler=upscaler,
        steps=wishes.hires_steps or 0,
        sampler=sampler,
        schedule=schedule,
        checkpoint=find_partner(wishes.hires_checkpoint, checkpoint, facts) if wishes.hires_checkpoint else None,
        prompt=wishes.hires_prompt or None,
        negative_prompt=wishes.hires_negative or None,
    )
    best = LATENT_DENOISING if upscaler in LATENT_UPSCALERS else upscale_denoising(checkpoint)
    denoising = best if wishes.denoising_strength is None else wishes.denoising_strength
    if denoising is None:
        return hires
    if not 0 < denoising <= 1:
        raise UserFacingError("denoising_range", wish=f"{denoising:g}")
    return hires.model_copy(update={"denoising_strength": denoising})


def _sampler(wishes: Parameters) -> tuple[str | None, str | None]:
    """None for both where the first pass's serve."""
    if wishes.hires_sampler:
        choice = choose_sampler(wishes.hires_sampler, wishes.hires_schedule)
        return choice.sampler, choice.schedule
    if wishes.hires_schedule:
        return None, choose_schedule(wishes.hires_schedule, choose_sampler(wishes.sampler, None).sampler)
    return None, None


def check_target(size: tuple[int, int], hires: Hires, limits: Limits) -> None:
    """Whether a second pass over `size` pixels may be as large as that. Raises UserFacingError: `hires_smaller`,
    `hires_too_large`."""
    _check_target(size, hires_target(size, hires.scale, (hires.resize_width, hires.resize_height)), limits)


def _check_target(size: tuple[int, int], target: tuple[int, int], limits: Limits) -> None:
    if target[0] < size[0] or target[1] < size[1]:
        raise UserFacingError(
            "hires_smaller", width=target[0], height=target[1], first_width=size[0], first_height=size[1]
        )
    if max(target) > limits.max_upscaled_side_px or target[0] * target[1] > limits.max_upscaled_pixels:
        largest = min(
            limits.max_upscaled_side_px / max(size), math.sqrt(limits.max_upscaled_pixels / (size[0] * size[1]))
        )
        raise UserFacingError(
            "hires_too_large", width=target[0], height=target[1], scale=f"{math.floor(largest * 10) / 10:g}"
        )
