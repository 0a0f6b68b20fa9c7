"""How a sampler name becomes noise levels, a starting point and a loop, for a whole pass or the end of one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gpu_worker.engine.calls import Phase, Sampling
from gpu_worker.engine.sampling.noise import ImageNoise
from gpu_worker.engine.sampling.samplers import Noise, ddim, dpmpp_2m, euler_ancestral
from gpu_worker.engine.sampling.sigmas import SigmaTable, ddim_timesteps, schedule_sigmas
from gpu_worker.language.names import SAMPLERS

__all__ = ["SamplingPlan", "exact_steps"]

Loop = Callable[[torch.Tensor, list[float], Noise, Phase], Sampling]


@dataclass(frozen=True)
class SamplingPlan:
    """One sampler on one model. Add a sampler: its loop in samplers.py, its name in language/names.py and here."""

    sampler: str
    schedule: str
    table: SigmaTable

    def from_noise(self, steps: int, noise: ImageNoise) -> Sampling:
        """A whole pass."""
        if self.sampler == "DDIM":
            sigmas = self._ddim_sigmas(_ddim_pass(steps, len(self.table.sigmas)))
            x = noise.first() * math.sqrt(1 + sigmas[0] ** 2)
        else:
            sigmas = schedule_sigmas(self.sampler, self.schedule, steps, self.table)
            x = noise.first() * sigmas[0]
        return self._loop()(x, sigmas, noise.next, "sampling")

    def from_latent(self, latent: torch.Tensor, steps: int, strength: float, noise: ImageNoise) -> Sampling:
        """The last `steps` intervals of a longer pass, from `latent` with noise laid over it (A1111's exact steps)."""
        total, start = exact_steps(steps, strength)
        if self.sampler == "DDIM":
            timesteps, mixed_at = _ddim_tail(steps, total, strength, len(self.table.sigmas))
            mixed, sigmas = float(self.table.sigmas[mixed_at]), self._ddim_sigmas(timesteps)
            x = (latent + noise.first() * mixed) * math.sqrt((1 + sigmas[0] ** 2) / (1 + mixed**2))
        else:
            sigmas = schedule_sigmas(self.sampler, self.schedule, total, self.table)[start:]
            x = latent + noise.first() * sigmas[0]
        return self._loop()(x, sigmas, noise.next, "hires")

    def _loop(self) -> Loop:
        return dict(zip(SAMPLERS, (dpmpp_2m, euler_ancestral, ddim), strict=True))[self.sampler]

    def _ddim_sigmas(self, timesteps: list[int]) -> list[float]:
        return [float(self.table.sigmas[t]) for t in reversed(timesteps)]


def exact_steps(steps: int, strength: float) -> tuple[int, int]:
    """Length of the whole schedule and the index to enter it at, so that just `steps` intervals are run."""
    total = int(steps / min(strength, 0.999))
    return total, total - steps


# A1111's DDIM makes one model call fewer than it has timesteps. Where that would leave none, and so bare noise, these
# two take one step from the level that was asked for.


def _ddim_pass(steps: int, trained: int) -> list[int]:
    timesteps = ddim_timesteps(steps, trained)
    return timesteps if len(timesteps) > 1 else [1, trained - 1]


def _ddim_tail(steps: int, total: int, strength: float, trained: int) -> tuple[list[int], int]:
    """Ascending timesteps of the second pass, and the one whose noise is laid over the latent.

    A1111 lays on the noise of the timestep above the one it denoises from; kept, for the same pictures.
    """
    timesteps = ddim_timesteps(total, trained)
    if steps < 3:
        start = max(2, int(strength * (trained - 1)))
        return [1, start], start
    return timesteps[: steps - 1], timesteps[min(steps - 1, len(timesteps) - 1)]
