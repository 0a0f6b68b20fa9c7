"""DPM-Solver++ for the probability flow, and with ancestral noise.

Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models" (2022). In x = x0 + sigma *
noise its alpha is 1, and its lambda is -ln sigma.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run, ancestral_split

__all__ = ["dpmpp_2m", "dpmpp_2s_ancestral"]


def dpmpp_2m(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """DPM-Solver++(2M), algorithm 2. The first step and the one to 0 are of first order."""
    of = len(sigmas) - 1
    previous: torch.Tensor | None = None
    width_before = 0.0
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield run.call(x, sigma, i, of)).denoised
        if target == 0:
            return denoised
        width = math.log(sigma / target)
        estimate = denoised
        if previous is not None:
            ratio = width_before / width
            estimate = (1 + 1 / (2 * ratio)) * denoised - (1 / (2 * ratio)) * previous
        x = (target / sigma) * x - math.expm1(-width) * estimate
        previous, width_before = denoised, width
    return x


def dpmpp_2s_ancestral(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """DPM-Solver++(2S), algorithm 1 with r = 1/2, to a lower level than wanted, then fresh noise up to it (Song et al.
    2021). No noise is drawn in the step to 0."""
    of = len(sigmas) - 1
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield run.call(x, sigma, i, of)).denoised
        down, up = ancestral_split(sigma, target, run.ancestral_eta)
        if down > 0:
            middle = math.sqrt(sigma * down)
            half = (middle / sigma) * x + (1 - middle / sigma) * denoised
            denoised = (yield run.call(half, middle, i, of)).denoised
        x = (down / sigma) * x + (1 - down / sigma) * denoised
        if target > 0:
            x = x + run.noise() * (run.options.s_noise * up)
    return x
