"""The samplers: generators that yield ModelCalls, are sent Predictions and return the finished latent.

They work on x = x0 + sigma * noise and know nothing of guidance, prompts or batches. `sigmas` descends; each interval
between two of its entries is one step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch

from gpu_worker.engine.calls import ModelCall, Phase, Sampling

__all__ = ["ddim", "dpmpp_2m", "euler_ancestral"]

Noise = Callable[[], torch.Tensor]


def euler_ancestral(x: torch.Tensor, sigmas: list[float], noise: Noise, phase: Phase) -> Sampling:
    """Euler steps to a lower level than wanted, then fresh noise up to it.

    Karras et al. 2022, algorithm 2 (Euler part), with the ancestral split of each step of Song et al., "Denoising
    Diffusion Implicit Models" (2021), eta = 1. One draw of noise a step, except for the last.
    """
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield ModelCall(x, sigma, i, len(sigmas) - 1, phase)).denoised
        up = min(target, math.sqrt(target**2 * (sigma**2 - target**2) / sigma**2))
        down = math.sqrt(target**2 - up**2)
        x = x + (x - denoised) * ((down - sigma) / sigma)
        if target > 0:
            x = x + noise() * up
    return x


def dpmpp_2m(x: torch.Tensor, sigmas: list[float], noise: Noise, phase: Phase) -> Sampling:
    """DPM-Solver++(2M): Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models"
    (2022), algorithm 2, on lambda = -ln sigma. The last step, to 0, is of first order."""
    previous: torch.Tensor | None = None
    width_before = 0.0
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield ModelCall(x, sigma, i, len(sigmas) - 1, phase)).denoised
        if target == 0:
            x = denoised
            continue
        width = math.log(sigma / target)
        estimate = denoised
        if previous is not None:
            ratio = width_before / width
            estimate = (1 + 1 / (2 * ratio)) * denoised - (1 / (2 * ratio)) * previous
        x = (target / sigma) * x - math.expm1(-width) * estimate
        previous, width_before = denoised, width
    return x


def ddim(x: torch.Tensor, sigmas: list[float], noise: Noise, phase: Phase) -> Sampling:
    """DDIM with eta 0: Song et al. 2021, equation 12. In this scale its update is one Euler step.

    A1111 stops at the sigma of timestep 1 instead of 0 and keeps the variance-preserving scale, so the result is
    divided by sqrt(1 + sigma^2) of that last level.
    """
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield ModelCall(x, sigma, i, len(sigmas) - 1, phase)).denoised
        x = x + (x - denoised) * ((target - sigma) / sigma)
    return x / math.sqrt(1 + sigmas[-1] ** 2)
