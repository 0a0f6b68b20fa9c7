"""The noise levels a model was trained on.

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (2022), appendix B.2, relates a
discrete model to sigma. The log-linear reading between trained levels and the single precision of the table are
k-diffusion's, A1111's reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

__all__ = ["LcmTable", "SigmaTable", "ddim_timesteps"]

Levels = np.ndarray[Any, np.dtype[np.float64]]

_LCM_LEVELS = 50
_LAST_BAR = 4.8973451890853435e-08
"""What A1111 leaves of the last alpha-bar where the signal-to-noise ratio ends at zero; 0 would have no sigma."""


@dataclass(frozen=True, eq=False)
class SigmaTable:
    """sigma_t = sqrt((1 - abar_t) / abar_t) of every trained timestep, ascending."""

    sigmas: Levels
    bars: Levels
    """abar_t. Kept beside the sigmas, because in half precision (`downcast`) one cannot be had from the other."""
    logs: Levels

    @classmethod
    def scaled_linear(cls, start: float = 0.00085, end: float = 0.012, steps: int = 1000) -> Self:
        """Stable Diffusion's betas: the square of a line between square roots."""
        return cls.from_betas(torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2)

    @classmethod
    def linear(cls, start: float, end: float, steps: int) -> Self:
        return cls.from_betas(torch.linspace(start, end, steps, dtype=torch.float64))

    @classmethod
    def from_betas(cls, betas: torch.Tensor) -> Self:
        """Multiplied out in double precision and kept in single, as the original training code does."""
        return cls.from_bars(torch.cumprod(1 - betas.double(), dim=0).float())

    @classmethod
    def from_bars(cls, bars: torch.Tensor) -> Self:
        """The table of alpha-bars as they are, in their own precision (float16, float32 or float64)."""
        sigmas = ((1 - bars) / bars).sqrt()
        return cls(sigmas.double().numpy(), bars.double().numpy(), sigmas.log().double().numpy())

    def downcast(self) -> Self:
        """The levels of A1111 before 1.7, which kept alpha-bar, and so all that is made of it, in half precision."""
        return self.from_bars(torch.from_numpy(self.bars).half())

    def zero_terminal_snr(self) -> Self:
        """Levels that end in noise alone: Lin et al., "Common Diffusion Noise Schedules and Sample Steps Are Flawed"
        (2023), algorithm 1."""
        roots = torch.from_numpy(self.bars).float().sqrt()
        first, last = roots[0].clone(), roots[-1].clone()
        bars = ((roots - last) * (first / (first - last))) ** 2
        bars[-1] = _LAST_BAR
        return self.from_bars(bars)

    @property
    def low(self) -> float:
        return float(self.sigmas[0])

    @property
    def high(self) -> float:
        return float(self.sigmas[-1])

    @property
    def last(self) -> float:
        """The timestep of the highest level."""
        return float(len(self.sigmas) - 1)

    def timestep(self, sigma: float) -> float:
        """The fractional timestep of a noise level, linear in log sigma, within the trained range."""
        return float(np.interp(math.log(sigma), self.logs, np.arange(len(self.logs))))

    def sigma(self, timestep: float) -> float:
        """The other way, in single precision: schedules are made of it."""
        place = torch.tensor(timestep, dtype=torch.float32).clamp(0, len(self.logs) - 1)
        low, high = (torch.tensor(self.logs[int(at)], dtype=torch.float32) for at in (place.floor(), place.ceil()))
        share = place.frac()
        return ((1 - share) * low + share * high).exp().item()

    def vp_sigma(self, timestep: int) -> float:
        """sqrt((1 - abar) / abar) of a trained timestep from alpha-bar itself, for samplers that go by timesteps."""
        return math.sqrt((1 - self.bars[timestep]) / self.bars[timestep])


@dataclass(frozen=True, eq=False)
class LcmTable(SigmaTable):
    """The 50 levels of a latent consistency model, each 20 timesteps apart and the last the highest.

    Luo et al., "Latent Consistency Models" (2023); a level of noise is read as the nearest of them (behaviours §7.4).
    """

    skip: int = 20

    @classmethod
    def of(cls, table: SigmaTable) -> LcmTable:
        skip = max(1, len(table.sigmas) // _LCM_LEVELS)
        kept = slice((len(table.sigmas) - 1) % skip, None, skip)
        return cls(table.sigmas[kept], table.bars[kept], table.logs[kept], skip)

    @property
    def last(self) -> float:
        return self.timestep(self.high)

    def timestep(self, sigma: float) -> float:
        nearest = int(np.abs(self.logs - math.log(sigma)).argmin())
        return float(nearest * self.skip + self.skip - 1)

    def sigma(self, timestep: float) -> float:
        return super().sigma((timestep - (self.skip - 1)) / self.skip)


def ddim_timesteps(steps: int, trained: int = 1000) -> list[int]:
    """A1111's ascending timesteps for DDIM: every (1000 // steps)-th from 1. The first is a target, never a start."""
    return [min(t + 1, trained - 1) for t in range(0, trained, max(trained // steps, 1))]
