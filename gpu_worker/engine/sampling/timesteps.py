"""DDIM, DDIM CFG++ and PLMS: samplers on trained timesteps.

In x = x0 + sigma * noise, where they run here, a step of DDIM is one of Euler. A1111 stops at timestep 1 instead of at
no noise and keeps the variance-preserving scale, so results are divided by sqrt(1 + sigma^2) of that last level.
"""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run, ancestral_split, slope
from gpu_worker.engine.sampling.sigmas import SigmaTable

__all__ = ["ddim", "ddim_cfgpp", "plms"]

_CFG_PLUS_PLUS = 1 / 12.5
"""A CFG scale of 12.5 is the method's own 1."""


def ddim(x: torch.Tensor, timesteps: list[int], table: SigmaTable, run: Run) -> Sampling:
    """Song et al., "Denoising Diffusion Implicit Models" (2021), equations 12 and 16. `timesteps` descend."""
    return (yield from _ddim(x, timesteps, table, run, plus_plus=False))


def ddim_cfgpp(x: torch.Tensor, timesteps: list[int], table: SigmaTable, run: Run) -> Sampling:
    """Chung et al., "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models" (2024), algorithm 1:
    noise is put back as the model sees it without the prompt."""
    return (yield from _ddim(x, timesteps, table, run, plus_plus=True))


def _ddim(x: torch.Tensor, timesteps: list[int], table: SigmaTable, run: Run, *, plus_plus: bool) -> Sampling:
    of = len(timesteps) - 1
    eta = run.options.eta or 0.0
    for i, (t, after) in enumerate(pairwise(timesteps)):
        sigma, target = table.vp_sigma(t), table.vp_sigma(after)
        call = run.call(x, sigma, i, of, float(t))
        if plus_plus:
            call = dataclasses.replace(call, cfg_multiplier=_CFG_PLUS_PLUS, wants_uncond=True)
        answer = yield call
        without = answer.denoised if not plus_plus or answer.uncond is None else answer.uncond
        down, up = ancestral_split(sigma, target, eta)
        x = answer.denoised + slope(x, sigma, without) * down
        if eta:
            x = x + run.noise() * up
    return x / math.sqrt(1 + table.vp_sigma(timesteps[-1]) ** 2)


def plms(x: torch.Tensor, timesteps: list[int], table: SigmaTable, run: Run) -> Sampling:
    """Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds" (2022): Adams-Bashforth of the noise
    estimates up to order 4; the first step is an improved Euler step of two calls."""
    of = len(timesteps) - 1
    past: list[torch.Tensor] = []
    for i, (t, after) in enumerate(pairwise(timesteps)):
        sigma, target = table.vp_sigma(t), table.vp_sigma(after)
        eps = slope(x, sigma, (yield run.call(x, sigma, i, of, float(t))).denoised)
        if not past:
            ahead = x + eps * (target - sigma)
            other = slope(ahead, target, (yield run.call(ahead, target, i, of, float(after))).denoised)
            mean = (eps + other) / 2
        elif len(past) == 1:
            mean = (3 * eps - past[0]) / 2
        elif len(past) == 2:
            mean = (23 * eps - 16 * past[0] + 5 * past[1]) / 12
        else:
            mean = (55 * eps - 59 * past[0] + 37 * past[1] - 9 * past[2]) / 24
        x = x + mean * (target - sigma)
        past = [eps, *past[:2]]
    return x / math.sqrt(1 + table.vp_sigma(timesteps[-1]) ** 2)
