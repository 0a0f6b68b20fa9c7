"""LCM."""

from __future__ import annotations

from itertools import pairwise

import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run
from gpu_worker.engine.sampling.sigmas import LcmTable

__all__ = ["lcm"]

_DATA = 0.5
_TIME = 10.0


def lcm(x: torch.Tensor, sigmas: list[float], table: LcmTable, run: Run) -> Sampling:
    """Multistep consistency sampling: Luo et al., "Latent Consistency Models" (2023), algorithm 3, with the boundary
    scalings of Song et al., "Consistency Models" (2023), on the nearest of the model's own timesteps."""
    of = len(sigmas) - 1
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        timestep = table.timestep(sigma)
        denoised = (yield run.call(x, sigma, i, of, timestep)).denoised
        scaled = _TIME * timestep
        skip, out = _DATA**2 / (scaled**2 + _DATA**2), scaled / (scaled**2 + _DATA**2) ** 0.5
        x = out * denoised + skip * x
        if target > 0:
            x = x + run.noise() * target
    return x
