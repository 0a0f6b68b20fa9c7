"""LMS: a linear multistep solver in sigma."""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from gpu_worker.engine.calls import Sampling
from gpu_worker.engine.sampling.run import Run, slope

__all__ = ["lms"]

_ORDER = 4


def lms(x: torch.Tensor, sigmas: list[float], run: Run) -> Sampling:
    """Adams-Bashforth of order 4 on uneven levels (Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations
    I", III.5), lower at the start: the polynomial through the last slopes is integrated over the step."""
    of = len(sigmas) - 1
    slopes: list[torch.Tensor] = []
    for i, (sigma, target) in enumerate(pairwise(sigmas)):
        slopes = [slope(x, sigma, (yield run.call(x, sigma, i, of)).denoised), *slopes[: _ORDER - 1]]
        nodes = [sigmas[i - j] for j in range(len(slopes))]
        for j, past in enumerate(slopes):
            x = x + past * _weight(nodes, j, sigma, target)
    return x


def _weight(nodes: list[float], j: int, start: float, end: float) -> float:
    """The integral of the j-th Lagrange polynomial of `nodes`; two points of Gauss are exact up to the third degree."""
    middle, half = (start + end) / 2, (end - start) / 2
    return half * sum(_lagrange(nodes, j, middle + half * side / math.sqrt(3)) for side in (-1, 1))


def _lagrange(nodes: list[float], j: int, at: float) -> float:
    return math.prod((at - node) / (nodes[j] - node) for k, node in enumerate(nodes) if k != j)
