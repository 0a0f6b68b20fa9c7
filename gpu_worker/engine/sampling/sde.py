"""DPM-Solver++ for the diffusion SDE, with noise from a Brownian tree.

Lu et al., "DPM-Solver++" (2022), appendix on SDE solvers, with lambda = -ln sigma; `eta` scales the noise that is taken
away and replaced, 0 leaves the solver of the probability flow.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run, ancestral_split

__all__ = ["dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde", "dpmpp_sde"]


def dpmpp_sde(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """SDE-DPM-Solver++ of second order in one step, r = 1/2, each half with an ancestral split."""
    of = len(sigmas) - 1
    eta, s_noise = run.ancestral_eta, run.options.s_noise
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield run.call(x, sigma, i, of)).denoised
        if target == 0:
            return denoised
        # The tree is asked at the sigmas as single precision gets them from their logarithms: a difference in its
        # sixth decimal is other noise.
        start, middle, end = _through_logs(sigma, target)
        down, up = ancestral_split(start, middle, eta)
        half = (down / start) * x + (1 - down / start) * denoised
        if eta:
            half = half + run.brownian(start, middle) * (s_noise * up)
        second = (yield run.call(half, middle, i, of)).denoised
        # With r = 1/2 the estimate at the middle stands for the whole step.
        down, up = ancestral_split(start, end, eta)
        x = (down / start) * x + (1 - down / start) * second
        if eta:
            x = x + run.brownian(start, end) * (s_noise * up)
    return x


def dpmpp_2m_sde(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """SDE-DPM-Solver++(2M), the midpoint form."""
    return (yield from _two_steps(x, sigmas, run, heun=False))


def dpmpp_2m_sde_heun(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """SDE-DPM-Solver++(2M), the form that integrates the difference exactly."""
    return (yield from _two_steps(x, sigmas, run, heun=True))


def _two_steps(x: torch.Tensor, sigmas: list[float], run: Run, *, heun: bool) -> Sampling:
    of = len(sigmas) - 1
    eta = run.ancestral_eta
    previous: torch.Tensor | None = None
    width_before = 0.0
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield run.call(x, sigma, i, of)).denoised
        if target == 0:
            return denoised
        width = math.log(sigma / target)
        whole = width * (1 + eta)
        gain = -math.expm1(-whole)
        x = (target / sigma) * math.exp(-eta * width) * x + gain * denoised
        if previous is not None:
            factor = 1 - gain / whole if heun else 0.5 * gain
            x = x + (denoised - previous) * (factor * width / width_before)
        x = _renewed(x, sigma, target, width, run)
        previous, width_before = denoised, width
    return x


def dpmpp_3m_sde(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """SDE-DPM-Solver++ of third order over three steps: the last estimates' first and second differences in lambda."""
    of = len(sigmas) - 1
    past: list[tuple[torch.Tensor, float]] = []
    """Estimate of a step and its width, the newest first."""
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        denoised = (yield run.call(x, sigma, i, of)).denoised
        if target == 0:
            return denoised
        width = math.log(sigma / target)
        whole = width * (1 + run.ancestral_eta)
        phi_1 = -math.expm1(-whole)
        phi_2 = 1 - phi_1 / whole
        x = math.exp(-whole) * x + phi_1 * denoised
        if past:
            first = (denoised - past[0][0]) * (width / past[0][1])
            if len(past) == 2:
                ratio_1, ratio_2 = past[0][1] / width, past[1][1] / width
                before = (past[0][0] - past[1][0]) / ratio_2
                second = (first - before) / (ratio_1 + ratio_2)
                first = first + second * ratio_1
                x = x - second * (phi_2 / whole - 0.5)
            x = x + first * phi_2
        x = _renewed(x, sigma, target, width, run)
        past = [(denoised, width), *past[:1]]
    return x


def _renewed(x: torch.Tensor, sigma: float, target: float, width: float, run: Run) -> torch.Tensor:
    eta = run.ancestral_eta
    if not eta:
        return x
    return x + run.brownian(sigma, target) * (target * math.sqrt(-math.expm1(-2 * eta * width)) * run.options.s_noise)


def _through_logs(sigma: float, target: float) -> tuple[float, float, float]:
    """Start, middle and end of a step in log sigma, in single precision."""
    start, end = (-torch.tensor(level, dtype=torch.float32).log() for level in (sigma, target))
    return (-start).exp().item(), (-(start + (end - start) * 0.5)).exp().item(), (-end).exp().item()
