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

from gpu_worker.engine.sampling.streams import NoiseSource, first_normals

__all__ = ["BrownianTree"]

_DIGITS = 6
_POOL = 24
_REMEMBERED = 64
"""Normal values kept, by place: two ways from the root to a millionth, as the start of a step is the last one's end."""


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

    @property
    def halves(self) -> tuple[_Node, _Node]:
        return (
            _Node(self.start, self.middle, self.depth + 1, 2 * self.place),
            _Node(self.middle, self.end, self.depth + 1, 2 * self.place + 1),
        )


class BrownianTree:
    """The path of one seed from `start` to `end`, as float32 tensors of `shape` on a device."""

    def __init__(
        self,
        seed: int,
        shape: tuple[int, ...],
        start: float,
        end: float,
        *,
        source: NoiseSource,
        device: torch.device,
    ) -> None:
        self._seed = seed
        self._shape = shape
        self._source: NoiseSource = source
        self._device = device
        self._root = _Node(round(start, _DIGITS), round(end, _DIGITS))
        entropy = np.random.SeedSequence(seed, pool_size=_POOL)
        self._whole = self._normals([entropy])[0] * math.sqrt(end - start)
        self._known: OrderedDict[_Node, torch.Tensor] = OrderedDict()

    def increment(self, start: float, end: float) -> torch.Tensor:
        """W(end) - W(start) for start <= end; what lies outside of the path counts as its end."""
        low, high = (min(max(round(t, _DIGITS), self._root.start), self._root.end) for t in (start, end))
        if low >= high:
            return torch.zeros(self._shape, device=self._device)
        cut, pieces = _parts(self._root, low, high)
        self._draw(cut)
        increments = {self._root: self._whole}
        for node in cut:
            left, right = node.halves
            whole, before, after = increments[node], node.middle - node.start, node.end - node.middle
            share = 1 / (node.end - node.start)
            increments[left] = before * whole * share + math.sqrt(before * after * share) * self._known[node]
            increments[right] = whole - increments[left]
        total = increments[pieces[0]]
        for piece in pieces[1:]:
            total = total + increments[piece]
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return total

    def _draw(self, nodes: list[_Node]) -> None:
        missing = [node for node in nodes if node not in self._known]
        for node in nodes:
            if node in self._known:
                self._known.move_to_end(node)
        seeds = [np.random.SeedSequence(self._seed, spawn_key=(n.place, n.depth), pool_size=_POOL) for n in missing]
        if seeds:
            self._known.update(zip(missing, self._normals(seeds), strict=True))

    def _normals(self, entropy: list[np.random.SeedSequence]) -> torch.Tensor:
        return first_normals(self._source, [int(e.generate_state(1)[0]) for e in entropy], self._shape, self._device)


def _parts(root: _Node, low: float, high: float) -> tuple[list[_Node], list[_Node]]:
    """The intervals to be halved, each after the one it is a half of; and the fewest that make up [low, high]."""
    cut: list[_Node] = []
    pieces: list[_Node] = []
    waiting = [(root, low, high)]
    while waiting:
        node, start, end = waiting.pop()
        if start == node.start and end == node.end:
            pieces.append(node)
            continue
        cut.append(node)
        left, right = node.halves
        if end > node.middle:
            waiting.append((right, max(start, node.middle), end))
        if start < node.middle:
            waiting.append((left, start, min(end, node.middle)))
    return cut, pieces
