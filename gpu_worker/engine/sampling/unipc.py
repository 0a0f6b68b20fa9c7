"""UniPC."""

from __future__ import annotations

import math

import numpy as np
import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run
from gpu_worker.engine.sampling.sigmas import SigmaTable

__all__ = ["unipc", "unipc_sigma"]

_ORDER = 3


def unipc(
    x: torch.Tensor, start: float, steps: int, table: SigmaTable, run: Run, *, velocity: bool = False
) -> Sampling:
    """Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models" (2023):
    algorithms 1 and 2 for estimates of x0, order 3, B1(h) = h; the last steps are of lower order and the last one is
    not corrected. `steps` even steps in time from timestep `start` (fractional) to 0.

    The result keeps the variance-preserving scale, as with A1111. `velocity`: the model speaks v; A1111 reads its
    answer by alpha-bar of the timestep rounded down.
    """
    times = torch.linspace((start + 1) / len(table.bars), 1 / len(table.bars), steps + 1).double().numpy()
    places = times * len(table.bars) - 1
    sigmas = [unipc_sigma(table, place) for place in places]
    lambdas = [-math.log(sigma) for sigma in sigmas]
    most = max(1, min(_ORDER, steps - 1))
    past: list[tuple[float, torch.Tensor]] = []
    """lambda and estimate, the newest first."""

    def estimate(at: int, denoised: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return _as_read(denoised, x, sigmas[at], table, places[at]) if velocity else denoised

    answer = yield run.call(x, sigmas[0], 0, steps, max(0.0, float(places[0])))
    past = [(lambdas[0], estimate(0, answer.denoised, x))]
    for i in range(1, steps + 1):
        order = min(i, most, steps + 1 - i)
        newest = past[0][1]
        width = lambdas[i] - lambdas[i - 1]
        ratios = [(at - lambdas[i - 1]) / width for at, _ in past[1:order]]
        differences = [(old - newest) / ratio for (_, old), ratio in zip(past[1:order], ratios, strict=True)]
        base = (sigmas[i] / sigmas[i - 1]) * x - math.expm1(-width) * newest
        predicted = base
        for weight, difference in zip(_weights(ratios, width), differences, strict=True):
            predicted = predicted + difference * (width * weight)
        if i == steps:
            x = predicted
            break
        answer = yield run.call(predicted, sigmas[i], i, steps, max(0.0, float(places[i])))
        current = estimate(i, answer.denoised, predicted)
        x = base
        for weight, difference in zip(_weights([*ratios, 1.0], width), [*differences, current - newest], strict=True):
            x = x + difference * (width * weight)
        past = [(lambdas[i], current), *past[: most - 1]]
    return x / math.sqrt(1 + sigmas[-1] ** 2)


def unipc_sigma(table: SigmaTable, timestep: float) -> float:
    """The level at a fractional timestep, by ln alpha linear in time as in DPM-Solver's noise schedule."""
    log_bar = float(np.interp(timestep, np.arange(len(table.bars)), np.log(table.bars)))
    return math.sqrt(math.expm1(-log_bar))


def _weights(ratios: list[float], width: float) -> list[float]:
    """Zhao et al. 2023, equation 5 solved for the weights of the differences; a single one is 1/2 by convention."""
    count = len(ratios)
    if count < 2:
        return [0.5] * count
    matrix = np.vander(np.array(ratios), count, increasing=True).T
    h = -width
    phi = math.expm1(h) / h - 1
    factorial = 1.0
    right: list[float] = []
    for n in range(1, count + 1):
        right.append(phi * factorial / h)
        factorial *= n + 1
        phi = phi / h - 1 / factorial
    return [float(weight) for weight in np.linalg.solve(matrix, np.array(right))]


def _as_read(denoised: torch.Tensor, x: torch.Tensor, sigma: float, table: SigmaTable, place: float) -> torch.Tensor:
    alpha, noise = 1 / math.sqrt(1 + sigma**2), sigma / math.sqrt(1 + sigma**2)
    scaled = x * alpha
    v = (alpha * scaled - denoised) / noise
    bar = table.bars[int(np.float32(max(0.0, place)))]
    eps = math.sqrt(bar) * v + math.sqrt(1 - bar) * scaled
    return (scaled - noise * eps) / alpha
