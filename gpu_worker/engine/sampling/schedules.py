"""The schedules that walk down a model's noise levels (behaviours §7.3).

Single precision wherever A1111 has it: its stochastic samplers look up their noise by sigma, so even the last digit is
part of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.special import betaincinv

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.language.names import effective_schedule

__all__ = ["karras", "schedule_sigmas"]

_AYS_SD1 = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
_AYS_SDXL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
_BETA = 0.6
"""Both shape parameters of the Beta schedule."""


@dataclass(frozen=True)
class _Wish:
    steps: int
    low: float
    high: float
    rho: float
    """0 is the schedule's own."""
    table: SigmaTable
    sdxl: bool


def schedule_sigmas(
    sampler: str,
    schedule: str,
    steps: int,
    table: SigmaTable,
    *,
    sigma_min: float = 0.0,
    sigma_max: float = 0.0,
    rho: float = 0.0,
    discard_penultimate: bool = False,
    sdxl: bool = False,
) -> list[float]:
    """`steps` descending noise levels and a final 0; `sampler` decides what Automatic means.

    Exceptions, as in A1111: KL Optimal ends at the lowest level instead of 0, and DDIM may have more levels.
    `sigma_min`, `sigma_max` and `rho` replace the ends and the curve of schedules that have them; 0 keeps their own.
    Raises EngineError `bad_input` where such wishes leave no way down.
    """
    wish = _Wish(steps + discard_penultimate, sigma_min or table.low, sigma_max or table.high, rho, table, sdxl)
    try:
        sigmas = _SCHEDULES[effective_schedule(sampler, schedule)](wish)
    except OverflowError:
        sigmas = [math.inf]
    if not all(map(math.isfinite, sigmas)) or any(a < b for a, b in pairwise(sigmas)):
        detail = {"reason": "sigmas", "sigma_min": sigma_min, "sigma_max": sigma_max, "rho": rho}
        raise EngineError("bad_input", f"{schedule} does not descend with {detail}", detail)
    return [*sigmas[:-2], sigmas[-1]] if discard_penultimate else sigmas


def karras(steps: int, low: float, high: float, rho: float = 7.0) -> list[float]:
    """Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022), equation 5."""
    start, end = high ** (1 / rho), low ** (1 / rho)
    return _ended((start + torch.linspace(0, 1, steps) * (end - start)) ** rho)


def _karras(wish: _Wish) -> list[float]:
    return karras(wish.steps, wish.low, wish.high, wish.rho or 7.0)


def _exponential(wish: _Wish) -> list[float]:
    return _ended(torch.linspace(math.log(wish.high), math.log(wish.low), wish.steps).exp())


def _polyexponential(wish: _Wish) -> list[float]:
    ramp = torch.linspace(1, 0, wish.steps) ** (wish.rho or 1.0)
    return _ended((ramp * (math.log(wish.high) - math.log(wish.low)) + math.log(wish.low)).exp())


def _uniform(wish: _Wish) -> list[float]:
    table = wish.table
    return _at(table, torch.linspace(table.last, table.timestep(table.low), wish.steps))


def _normal(wish: _Wish) -> list[float]:
    table = wish.table
    return _at(table, torch.linspace(table.timestep(wish.high), table.timestep(wish.low), wish.steps))


def _sgm_uniform(wish: _Wish) -> list[float]:
    """As Stability's own code spaces them: the last timestep is only a bound."""
    table = wish.table
    return _at(table, torch.linspace(table.timestep(wish.high), table.timestep(wish.low), wish.steps + 1)[:-1])


def _simple(wish: _Wish) -> list[float]:
    levels = wish.table.sigmas
    return [float(levels[-(1 + int(i * (len(levels) / wish.steps)))]) for i in range(wish.steps)] + [0.0]


def _ddim(wish: _Wish) -> list[float]:
    levels = wish.table.sigmas
    return [*map(float, levels[1 :: max(len(levels) // wish.steps, 1)][::-1]), 0.0]


def _kl_optimal(wish: _Wish) -> list[float]:
    """Sabour et al., "Align Your Steps" (2024), theorem 3.1: even in the angle."""
    share = torch.arange(wish.steps + 1) / wish.steps
    low, high = (torch.tensor(sigma, dtype=torch.float32).arctan() for sigma in (wish.low, wish.high))
    return torch.tan(share * low + (1.0 - share) * high).tolist()


def _align_your_steps(wish: _Wish) -> list[float]:
    """Sabour et al. 2024, the published tables, log-linear between their points."""
    table = np.array(_AYS_SDXL if wish.sdxl else _AYS_SD1)
    if wish.steps == len(table):
        return _ended(torch.from_numpy(table))
    places = np.linspace(0, 1, wish.steps)
    # Read from the low end, so that a single step is the lowest level, as in A1111.
    rising = np.exp(np.interp(places, np.linspace(0, 1, len(table)), np.log(table[::-1])))
    return _ended(torch.from_numpy(rising[::-1].copy()))


def _beta(wish: _Wish) -> list[float]:
    """Lee et al., "Beta Sampling is All You Need" (2024), with A1111's reading: quantiles are shares of sigma."""
    shares = betaincinv(_BETA, _BETA, 1 - np.linspace(0, 1, wish.steps))
    return _ended(torch.from_numpy(wish.low + shares * (wish.high - wish.low)))


_SCHEDULES: dict[str, Callable[[_Wish], list[float]]] = {
    "Automatic": _uniform,
    "Uniform": _uniform,
    "Karras": _karras,
    "Exponential": _exponential,
    "Polyexponential": _polyexponential,
    "SGM Uniform": _sgm_uniform,
    "KL Optimal": _kl_optimal,
    "Align Your Steps": _align_your_steps,
    "Simple": _simple,
    "Normal": _normal,
    "DDIM": _ddim,
    "Beta": _beta,
}


def _at(table: SigmaTable, timesteps: torch.Tensor) -> list[float]:
    return _ended(torch.tensor([table.sigma(t) for t in timesteps.tolist()]))


def _ended(levels: torch.Tensor) -> list[float]:
    return [*levels.float().tolist(), 0.0]
