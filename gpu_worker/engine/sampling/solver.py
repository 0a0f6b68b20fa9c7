"""DPM fast and DPM adaptive: DPM-Solver in steps of order 1 to 3.

Lu et al., "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling Around 10 Steps" (2022), on
t = -ln sigma. Both end at the lowest sigma instead of 0, and take only the ends of a schedule.
"""

from __future__ import annotations

import math
from collections.abc import Generator

import torch

from gpu_worker.engine.calls import ModelCall, Prediction, Sampling
from gpu_worker.engine.sampling.run import Run, ancestral_split, slope

__all__ = ["dpm_adaptive", "dpm_fast"]

_RTOL, _ATOL = 0.05, 0.0078
_FIRST_WIDTH = 0.05
_ACCEPT = 0.81
_MOST_TRIALS = 1000
_PARTS = 100
"""Of an adaptive run, for its progress."""

Piece = Generator[ModelCall, Prediction, torch.Tensor]


def dpm_fast(x: torch.Tensor, high: float, low: float, calls: int, run: Run) -> Sampling:
    """Just `calls` evaluations from sigma `high` down to `low`: steps of order 3, and one or two shorter ones at the
    end (Lu et al. 2022, section 3.4), each with fresh noise as far as eta asks for it."""
    count = calls // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if calls % 3 == 0 else [3] * (count - 1) + [calls % 3]
    times = torch.linspace(-math.log(high), -math.log(low), count + 1).tolist()
    done = 0
    for order, t, end in zip(orders, times, times[1:], strict=False):
        down, up = _split(t, end, times[-1], run)
        steps = _Steps(x, t, down, done, calls, run)
        x = (yield from steps.solved(order)) + run.noise() * (run.options.s_noise * up)
        done += order
    return x


def dpm_adaptive(x: torch.Tensor, high: float, low: float, run: Run) -> Sampling:
    """From sigma `high` down to `low` in as many steps of order 3 as the tolerance asks for: Lu et al. 2022, appendix
    on DPM-Solver-23, with a step width by integral control (Söderlind, "Digital Filters in Adaptive Time-Stepping",
    2003). The error is one number for the whole batch."""
    t, end = -math.log(high), -math.log(low)
    before = x
    width = _FIRST_WIDTH
    order = 1.5 if run.ancestral_eta else 3.0
    start = t
    trials = 0
    while t < end - 1e-5:
        trials += 1
        # A model that answers NaN, or one no width is small enough for, must not hold the worker for ever.
        hopeless = trials > _MOST_TRIALS
        target = end if hopeless else min(end, t + width)
        down, up = _split(t, target, end, run)
        steps = _Steps(x, t, down, int(_PARTS * (t - start) / (end - start)), _PARTS, run)
        lower = yield from steps.second(1 / 3)
        higher = yield from steps.third()
        bound = torch.clamp(torch.maximum(lower.abs(), before.abs()) * _RTOL, min=_ATOL)
        error = torch.linalg.vector_norm((lower - higher) / bound).item() / math.sqrt(x.numel())
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / order) - 1)
        if factor >= _ACCEPT or hopeless or not math.isfinite(error):
            before = lower
            x = higher + run.noise() * up
            t = target
        width *= factor if math.isfinite(error) else 1.0
    return x


def _split(t: float, target: float, end: float, run: Run) -> tuple[float, float]:
    """The time to solve to, not beyond `end`, and how much noise leads from there back up to `target`."""
    if not run.ancestral_eta:
        return target, 0.0
    down, _ = ancestral_split(math.exp(-t), math.exp(-target), run.ancestral_eta)
    solved = min(end, -math.log(down)) if down > 0 else end
    # Where nothing was cut off, rounding may leave a difference below 0.
    return solved, math.sqrt(max(0.0, math.exp(-2 * target) - math.exp(-2 * solved)))


class _Steps:
    """The solvers' steps from `x` at `t` to `end`, which share their evaluations of the noise."""

    def __init__(self, x: torch.Tensor, t: float, end: float, step: int, of: int, run: Run) -> None:
        self._x = x
        self._t = t
        self._width = end - t
        self._step = step
        self._of = of
        self._run = run
        self._known: dict[float, torch.Tensor] = {}

    def solved(self, order: int) -> Piece:
        steps = {1: self.first, 2: lambda: self.second(1 / 2), 3: self.third}
        return (yield from steps[order]())

    def first(self) -> Piece:
        eps = yield from self._eps(0, self._x)
        return self._moved(1, eps)

    def second(self, r: float) -> Piece:
        eps = yield from self._eps(0, self._x)
        ahead = yield from self._eps(r, self._moved(r, eps))
        return self._moved(1, eps) - (ahead - eps) * (self._sigma(1) * math.expm1(self._width) / (2 * r))

    def third(self) -> Piece:
        r1, r2 = 1 / 3, 2 / 3
        eps = yield from self._eps(0, self._x)
        near = yield from self._eps(r1, self._moved(r1, eps))
        middle = self._moved(r2, eps) - (near - eps) * (self._sigma(r2) * (r2 / r1) * self._curve(r2))
        far = yield from self._eps(r2, middle)
        return self._moved(1, eps) - (far - eps) * (self._sigma(1) / r2 * self._curve(1))

    def _eps(self, r: float, x: torch.Tensor) -> Piece:
        if r not in self._known:
            sigma = self._sigma(r)
            denoised = (yield self._run.call(x, sigma, self._step, self._of)).denoised
            self._known[r] = slope(x, sigma, denoised)
        return self._known[r]

    def _sigma(self, r: float) -> float:
        return math.exp(-(self._t + r * self._width))

    def _moved(self, r: float, eps: torch.Tensor) -> torch.Tensor:
        return self._x - eps * (self._sigma(r) * math.expm1(r * self._width))

    def _curve(self, r: float) -> float:
        width = r * self._width
        return math.expm1(width) / width - 1 if width else 0.0
