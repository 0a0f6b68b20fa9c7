"""What one file entry does to one module: the change of its kind, scaled, with DoRA's magnitudes and a bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gpu_worker.engine.adapters.changes import Change, LowRank, Shape, same_size
from gpu_worker.engine.adapters.key_names import Place

__all__ = ["NetworkPart"]

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class NetworkPart:
    key: str
    """The file's name of the module; once in a file."""
    place: Place
    change: Change | None
    """None where the bias alone changes."""
    scale: float = 1.0
    """alpha / rank, or what the file's `scale` says."""
    addend: Tensor | None = None
    """LyCORIS' `bias`: added to the change before it is scaled."""
    magnitude: Tensor | None = None
    """DoRA: the length of every output (first dimension) or of every input (second dimension) of the merged weight."""
    bias: Tensor | None = None
    """Change of the module's bias for multiplier 1."""

    def fits(self, weight: Shape) -> bool:
        """Whether it can be laid over a weight, and its bias over that of as many outputs. Looks at shapes alone."""
        size = torch.Size(weight).numel()
        return (
            (self.change is None or self.change.fits(weight))
            and (self.bias is None or (self.bias.dim() == 1 and self.bias.shape[0] == weight[0]))
            and (self.addend is None or self.addend.numel() == size)
            and (self.magnitude is None or _lengths_shape(self.magnitude, weight) is not None)
        )

    def merge_into(self, total: Tensor, factor: float, ranks: int | None) -> None:
        """Adds `factor` times the change to `total`, a weight in contiguous float32 that may hold earlier changes."""
        if self.change is None:
            return
        plain = self.magnitude is None and self.addend is None
        if plain and isinstance(self.change, LowRank) and self.change.mid is None:
            up, down = self.change.factors(total, ranks)
            total.view(total.shape[0], -1).addmm_(up, down, alpha=factor * self.scale)
            return
        delta = self.change.delta(total, ranks).reshape(total.shape)
        if self.addend is not None:
            delta = delta + self.addend.to(total.device, torch.float32).reshape(total.shape)
        if self.scale != 1:
            delta = delta * self.scale
        if self.magnitude is not None:
            delta = _with_lengths(total + delta, self.magnitude) - total
        total.add_(delta, alpha=factor)


def _with_lengths(merged: Tensor, magnitude: Tensor) -> Tensor:
    """Liu et al., "DoRA" (2024): direction from the merged weight, length learnt apart."""
    lengths = magnitude.to(merged.device, torch.float32).reshape(
        _lengths_shape(magnitude, tuple(merged.shape)) or (-1,)
    )
    dims = [dim for dim in range(merged.dim()) if lengths.shape[dim] == 1]
    norm = torch.linalg.vector_norm(merged, dim=dims or list(range(merged.dim())), keepdim=True)
    return merged * (lengths / norm.clamp_min(torch.finfo(torch.float32).tiny))


def _lengths_shape(magnitude: Tensor, weight: Shape) -> Shape | None:
    """[out, 1, …] or [1, in, …]; None where it is neither. One dimension alone means outputs, as PEFT writes it."""
    ones = (1,) * (len(weight) - 2)
    shape = tuple(magnitude.shape)
    if len(weight) < 2:
        return None
    if len(shape) == 1:
        return (
            (weight[0], 1, *ones) if shape[0] == weight[0] else (1, weight[1], *ones) if shape[0] == weight[1] else None
        )
    for wanted in ((weight[0], 1, *ones), (1, weight[1], *ones)):
        if same_size(shape, wanted):
            return wanted
    return None
