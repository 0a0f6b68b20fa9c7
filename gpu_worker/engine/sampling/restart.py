"""Restart."""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run, slope
from gpu_worker.engine.sampling.schedules import karras

__all__ = ["restart", "restart_steps"]

_FROM, _TO = 0.1, 2.0


def restart(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """Heun steps that at a low level go back up by fresh noise, and down again: Xu et al., "Restart Sampling for
    Improving Generative Processes" (2023), algorithm 1."""
    steps = restart_steps(sigmas)
    level = steps[0][0] if steps else 0.0
    for i, (sigma, target) in enumerate(steps):
        if sigma > level:
            x = x + run.noise() * math.sqrt(sigma**2 - level**2)
        first = slope(x, sigma, (yield run.call(x, sigma, i, len(steps))).denoised)
        ahead = x + first * (target - sigma)
        if target > 0:
            second = slope(ahead, target, (yield run.call(ahead, target, i, len(steps))).denoised)
            ahead = x + (first + second) / 2 * (target - sigma)
        x, level = ahead, target
    return x


def restart_steps(sigmas: list[float]) -> list[tuple[float, float]]:
    """All steps as (from, to), for a schedule that ends in 0.

    From 20 steps on, a part of them is kept for the way from about 2 to about 0.1: nine to be walked once, from 36 on
    a quarter to be walked twice; the rest is the schedule, which is Karras' then (behaviours §7.4).
    """
    count = len(sigmas) - 1
    if count < 20:
        return list(pairwise(sigmas))
    kept, times = (9, 1) if count < 36 else (count // 4, 2)
    sigmas = karras(count - kept * times, sigmas[-2], sigmas[0])
    low, high = _nearest(sigmas, _FROM), _nearest(sigmas, _TO)
    steps = list(pairwise(sigmas))
    if low == 0 or high >= low:
        return steps
    # The way there ends with the restart's own last level, above 0.
    again = list(pairwise(karras(kept + 1, sigmas[low], sigmas[high])[:-1]))
    return steps[:low] + again * times + steps[low:]


def _nearest(sigmas: list[float], level: float) -> int:
    return min(range(len(sigmas)), key=lambda i: abs(sigmas[i] - level))
