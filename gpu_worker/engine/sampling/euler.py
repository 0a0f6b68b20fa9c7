"""Euler, Heun and DPM2: one-step solvers in sigma."""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run, ancestral_split, slope

__all__ = ["dpm2", "dpm2_ancestral", "euler", "euler_ancestral", "heun"]


def euler(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """Karras et al. 2022, algorithm 2 without its correction: churn, then one Euler step."""
    of = len(sigmas) - 1
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        x, sigma = _churned(x, sigma, of, run)
        denoised = (yield run.call(x, sigma, i, of)).denoised
        x = x + slope(x, sigma, denoised) * (target - sigma)
    return x


def euler_ancestral(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """Euler steps to a lower level than wanted, then fresh noise up to it (Song et al. 2021). No noise is drawn in the
    step to 0."""
    of = len(sigmas) - 1
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield run.call(x, sigma, i, of)).denoised
        down, up = ancestral_split(sigma, target, run.ancestral_eta)
        x = x + slope(x, sigma, denoised) * (down - sigma)
        if target > 0:
            x = x + run.noise() * up
    return x


def heun(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """Karras et al. 2022, algorithm 2: the mean of the slopes at both ends; the step to 0 is Euler's."""
    of = len(sigmas) - 1
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        x, sigma = _churned(x, sigma, of, run)
        first = slope(x, sigma, (yield run.call(x, sigma, i, of)).denoised)
        ahead = x + first * (target - sigma)
        if target == 0:
            x = ahead
            continue
        second = slope(ahead, target, (yield run.call(ahead, target, i, of)).denoised)
        x = x + (first + second) / 2 * (target - sigma)
    return x


def dpm2(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """The midpoint rule with the middle taken in log sigma: DPM-Solver-2 of Lu et al., "DPM-Solver: A Fast ODE Solver
    for Diffusion Probabilistic Model Sampling" (2022), in the frame of Karras et al. 2022."""
    of = len(sigmas) - 1
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        x, sigma = _churned(x, sigma, of, run)
        d = slope(x, sigma, (yield run.call(x, sigma, i, of)).denoised)
        if target > 0:
            middle = math.sqrt(sigma * target)
            half = x + d * (middle - sigma)
            d = slope(half, middle, (yield run.call(half, middle, i, of)).denoised)
        x = x + d * (target - sigma)
    return x


def dpm2_ancestral(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """DPM2 to a lower level than wanted, then fresh noise up to it."""
    of = len(sigmas) - 1
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        d = slope(x, sigma, (yield run.call(x, sigma, i, of)).denoised)
        down, up = ancestral_split(sigma, target, run.ancestral_eta)
        if down == 0:
            x = x + d * (down - sigma)
            continue
        middle = math.sqrt(sigma * down)
        half = x + d * (middle - sigma)
        d = slope(half, middle, (yield run.call(half, middle, i, of)).denoised)
        x = x + d * (down - sigma) + run.noise() * (run.options.s_noise * up)
    return x


def _churned(x: torch.Tensor, sigma: float, steps: int, run: Run) -> tuple[torch.Tensor, float]:
    """Karras et al. 2022, algorithm 2, lines 4 to 6: noise added before a step, so that errors are washed out.

    With churn a draw is used up in every step, also in those that add nothing.
    """
    options = run.options
    if options.s_churn <= 0:
        return x, sigma
    noise = run.noise() * options.s_noise
    if not options.s_tmin <= sigma <= (options.s_tmax or math.inf):
        return x, sigma
    raised = sigma * (1 + min(options.s_churn / steps, math.sqrt(2) - 1))
    return x + noise * math.sqrt(raised**2 - sigma**2), raised
