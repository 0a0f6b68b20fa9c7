"""What every sampler loop is given beside a latent and its noise levels, and the two formulae most of them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gpu_worker.engine.calls import ModelCall, Phase, Sampling
from gpu_worker.engine.sampling.noise import Brownian
from gpu_worker.protocol.specs import Drawing

__all__ = ["Loop", "Run", "SamplerOptions", "ancestral_split", "slope"]


@dataclass(frozen=True)
class SamplerOptions:
    """A1111's sampler parameters (behaviours §7.2). Those a sampler does not have make no difference to it."""

    eta: float | None = None
    """None is the sampler's own: 1 for those that add noise, 0 for DDIM."""
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = 0.0
    """0 means no bound."""
    s_noise: float = 1.0
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    """Ends and curve of the schedule; 0 keeps its own."""
    discard_penultimate: bool = False

    @classmethod
    def of(cls, spec: Drawing) -> SamplerOptions:
        return cls(
            spec.eta, spec.s_churn, spec.s_tmin, spec.s_tmax, spec.s_noise,
            spec.sigma_min, spec.sigma_max, spec.rho, spec.discard_penultimate,
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    noise: Callable[[], torch.Tensor]
    """Fresh normal noise. Samplers draw it in A1111's order, or seeds stop matching."""
    brownian: Brownian
    options: SamplerOptions
    phase: Phase

    @property
    def ancestral_eta(self) -> float:
        """Share of the noise that a stochastic sampler takes away and replaces."""
        return 1.0 if self.options.eta is None else self.options.eta

    def call(self, x: torch.Tensor, sigma: float, step: int, of: int, timestep: float | None = None) -> ModelCall:
        return ModelCall(x, sigma, step, of, self.phase, timestep)


Loop = Callable[[torch.Tensor, list[float], Run], Sampling]
"""`x` at sigmas[0]; each interval between two of the descending sigmas is one step."""


def slope(x: torch.Tensor, sigma: float, denoised: torch.Tensor) -> torch.Tensor:
    """dx/dsigma of the probability flow; it equals the model's estimate of the noise (Karras et al. 2022, eq. 3)."""
    return (x - denoised) / sigma


def ancestral_split(sigma: float, target: float, eta: float) -> tuple[float, float]:
    """The level to step down to, and how much fresh noise leads from there up to `target`.

    Song et al., "Denoising Diffusion Implicit Models" (2021), equation 16, in sigmas; eta 1 is the posterior of DDPM.
    """
    if not eta:
        return target, 0.0
    up = min(target, eta * math.sqrt(target**2 * (sigma**2 - target**2) / sigma**2))
    return math.sqrt(target**2 - up**2), up
