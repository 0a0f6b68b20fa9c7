"""OFT and BOFT: networks that turn a weight's outputs against each other instead of adding to it.

Qiu et al., "Controlling Text-to-Image Diffusion by Orthogonal Finetuning" (2023); Liu et al., "Parameter-Efficient
Orthogonal Finetuning via Butterfly Factorization" (2023); entries as kohya-ss/sd-scripts and LyCORIS write them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gpu_worker.engine.adapters.changes import Shape

__all__ = ["Butterfly", "Orthogonal"]

Tensor = torch.Tensor
_EPSILON = 1e-8


@dataclass(frozen=True, eq=False)
class Orthogonal:
    """Blocks of consecutive outputs, each turned by its own matrix."""

    blocks: Tensor
    """[blocks, size, size]: skew-symmetric generators, or the matrices themselves where `turned`."""
    constraint: float = 0.0
    """COFT: the generators' norm is at most this times the number of outputs; 0 leaves it free."""
    turned: bool = False
    """Old LyCORIS files (`oft_diag`)."""
    rescale: Tensor | None = None
    """One factor for each output."""
    rank: None = None

    def fits(self, shape: Shape) -> bool:
        count, rows, columns = self.blocks.shape if self.blocks.dim() == 3 else (0, 0, 1)
        return len(shape) >= 2 and rows == columns and count * rows == shape[0] and _rescales(self.rescale, shape)

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        turns = _turns(self.blocks, weight, self.constraint, self.turned)
        parts = weight.reshape(self.blocks.shape[0], self.blocks.shape[1], -1)
        return _rescaled(torch.einsum("knm,knx->kmx", turns, parts), self.rescale, weight) - weight


@dataclass(frozen=True, eq=False)
class Butterfly:
    """BOFT: several rounds of turns, each of them of outputs twice as far apart as in the last."""

    blocks: Tensor
    """[rounds, blocks, size, size]."""
    constraint: float = 0.0
    turned: bool = False
    rescale: Tensor | None = None
    rank: None = None

    def fits(self, shape: Shape) -> bool:
        if self.blocks.dim() != 4 or len(shape) < 2:
            return False
        rounds, count, rows, columns = self.blocks.shape
        if rows != columns or rows % 2 or count * rows != shape[0] or not _rescales(self.rescale, shape):
            return False
        return rounds <= 32 and all(shape[0] % (rows << turn) == 0 for turn in range(rounds))

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        turns = _turns(self.blocks, weight, self.constraint, self.turned)
        now = weight.flatten(1)
        size = self.blocks.shape[2]
        for number, turn in enumerate(turns):
            far = (size // 2) << number
            # Outputs that lie `far` apart become neighbours, are turned in blocks, and go back.
            near = now.reshape(-1, 2, far, now.shape[1]).transpose(1, 2).reshape(-1, size, now.shape[1])
            near = torch.einsum("bij,bjx->bix", turn, near)
            now = near.reshape(-1, far, 2, now.shape[1]).transpose(1, 2).reshape(now.shape)
        return _rescaled(now, self.rescale, weight) - weight


def _turns(blocks: Tensor, weight: Tensor, constraint: float, turned: bool) -> Tensor:
    """The Cayley transform (I + Q)(I - Q)^-1 of every generator B, with Q = B - B^T."""
    generators = blocks.to(weight.device, torch.float32)
    if turned:
        return generators
    skew = generators - generators.transpose(-1, -2)
    if constraint:
        norm = torch.linalg.vector_norm(skew)
        limit = norm.clamp(max=constraint * weight.shape[0])
        skew = skew * ((limit + _EPSILON) / (norm + _EPSILON))
    one = torch.eye(skew.shape[-1], device=weight.device)
    return (one + skew) @ torch.linalg.inv_ex(one - skew).inverse


def _rescales(rescale: Tensor | None, shape: Shape) -> bool:
    return rescale is None or rescale.numel() == shape[0]


def _rescaled(turned: Tensor, rescale: Tensor | None, weight: Tensor) -> Tensor:
    result = turned.reshape(weight.shape)
    if rescale is None:
        return result
    factor = rescale.to(weight.device, torch.float32)
    return result * factor.reshape(-1, *[1] * (weight.dim() - 1))
