"""The noise levels a model was trained on, and the schedules that walk down them.

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022): appendix B.2 relates a
discrete model to sigma, equation 5 is the Karras schedule. Exponential and the log-linear reading between trained
levels follow k-diffusion, A1111's reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpu_worker.language.names import effective_schedule

__all__ = ["SigmaTable", "ddim_timesteps", "schedule_sigmas"]

KARRAS_RHO = 7.0
Levels = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class SigmaTable:
    """sigma_t = sqrt((1 - abar_t) / abar_t) of every trained timestep, ascending."""

    sigmas: Levels

    @classmethod
    def scaled_linear(cls, start: float = 0.00085, end: float = 0.012, steps: int = 1000) -> SigmaTable:
        """Stable Diffusion's betas: the square of a line between square roots; float32 as in the original."""
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float32) ** 2
        return cls.from_betas(betas)

    @classmethod
    def linear(cls, start: float, end: float, steps: int) -> SigmaTable:
        return cls.from_betas(torch.linspace(start, end, steps, dtype=torch.float32))

    @classmethod
    def from_betas(cls, betas: torch.Tensor) -> SigmaTable:
        bars = torch.cumprod(1 - betas, dim=0).double().numpy()
        return cls(np.sqrt((1 - bars) / bars))

    @property
    def low(self) -> float:
        return float(self.sigmas[0])

    @property
    def high(self) -> float:
        return float(self.sigmas[-1])

    def timestep(self, sigma: float) -> float:
        """The fractional timestep of a noise level, linear in log sigma, within the trained range."""
        return float(np.interp(math.log(sigma), np.log(self.sigmas), np.arange(len(self.sigmas))))

    def sigma(self, timestep: float) -> float:
        return float(np.exp(np.interp(timestep, np.arange(len(self.sigmas)), np.log(self.sigmas))))


def schedule_sigmas(sampler: str, schedule: str, steps: int, table: SigmaTable) -> list[float]:
    """`steps` descending noise levels and a final 0. `sampler` decides what Automatic means."""
    label = effective_schedule(sampler, schedule)
    if label == "Karras":
        ends = table.high ** (1 / KARRAS_RHO), table.low ** (1 / KARRAS_RHO)
        levels = np.linspace(*ends, steps) ** KARRAS_RHO
    elif label == "Exponential":
        levels = np.exp(np.linspace(math.log(table.high), math.log(table.low), steps))
    elif label == "Uniform":
        last = len(table.sigmas) - 1
        levels = np.array([table.sigma(t) for t in np.linspace(last, 0, steps)])
    else:
        raise ValueError(f"no such schedule: {label}")
    return [*map(float, levels), 0.0]


def ddim_timesteps(steps: int, trained: int = 1000) -> list[int]:
    """A1111's ascending timesteps for DDIM: every (1000 // steps)-th from 1. The first is a target, never a start."""
    return [min(t + 1, trained - 1) for t in range(0, trained, max(trained // steps, 1))]
