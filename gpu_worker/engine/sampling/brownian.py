"""A Brownian path that can be asked anywhere and in any order, and answers the same.

The virtual Brownian tree of Li et al., "Scalable Gradients for Stochastic Differential Equations" (2020), in the form
of Kidger et al., "Efficient and Accurate Gradients for Neural SDEs" (2021): the increment over an interval is drawn
from the Brownian bridge over the interval twice as wide, by a seed that belongs to the place in the tree. Seeds, and
times rounded to a millionth, are those of torchsde 0.2, with which A1111 draws (behaviours §6). It is written out here
because torchsde lets nobody choose where its normal values come from.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch

from gpu_worker.engine.sampling.streams import NoiseSource, open_stream

__all__ = ["BrownianTree"]

_DIGITS = 6
_POOL = 24
_REMEMBERED = 64
"""Increments kept: two ways from the root to a millionth, so that a step's start finds the last one's end."""


@dataclass(frozen=True)
class _Node:
    start: float
    end: float
    depth: int = 0
    place: int = 0
    """Counts the intervals of one depth from 0."""

    @property
    def middle(self) -> float:
        return round(0.5 * (self.end + self.start), _DIGITS)


class BrownianTree:
    """The path of one seed from `start` to `end`, as tensors of `shape` (float32, on the CPU)."""

    def __init__(self, seed: int, shape: tuple[int, ...], start: float, end: float, source: NoiseSource) -> None:
        self._seed = seed
        self._shape = shape
        self._source: NoiseSource = source
        self._root = _Node(round(start, _DIGITS), round(end, _DIGITS))
        entropy = np.random.SeedSequence(entropy=seed, pool_size=_POOL)
        self._whole = self._normal(entropy) * math.sqrt(end - start)
        self._known: OrderedDict[tuple[int, int], torch.Tensor] = OrderedDict()

    def increment(self, start: float, end: float) -> torch.Tensor:
        """W(end) - W(start) for start <= end; what lies outside of the path counts as its end."""
        low, high = (min(max(round(t, _DIGITS), self._root.start), self._root.end) for t in (start, end))
        total = torch.zeros(self._shape)
        if low >= high:
            return total
        pieces = self._pieces(low, high)
        return pieces[0] if len(pieces) == 1 else sum(pieces[1:], pieces[0])

    def _pieces(self, low: float, high: float) -> list[torch.Tensor]:
        """Increments over the fewest intervals of the tree that make up [low, high], from left to right."""
        pieces: list[torch.Tensor] = []
        waiting = [(self._root, self._whole, low, high)]
        while waiting:
            node, whole, low, high = waiting.pop()
            if low == node.start and high == node.end:
                pieces.append(whole)
                continue
            left, right = self._halves(node, whole)
            middle = node.middle
            below = _Node(node.start, middle, node.depth + 1, 2 * node.place)
            above = _Node(middle, node.end, node.depth + 1, 2 * node.place + 1)
            if high > middle:
                waiting.append((above, right, max(low, middle), high))
            if low < middle:
                waiting.append((below, left, low, min(high, middle)))
        return pieces

    def _halves(self, node: _Node, whole: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        left = self._known.pop((node.depth, node.place), None)
        if left is None:
            before, after = node.middle - node.start, node.end - node.middle
            share = 1 / (node.end - node.start)
            entropy = np.random.SeedSequence(self._seed, spawn_key=(node.place, node.depth), pool_size=_POOL)
            left = before * whole * share + math.sqrt(before * after * share) * self._normal(entropy)
        self._known[node.depth, node.place] = left
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return left, whole - left

    def _normal(self, entropy: np.random.SeedSequence) -> torch.Tensor:
        return open_stream(self._source, int(entropy.generate_state(1)[0])).normal(self._shape)
