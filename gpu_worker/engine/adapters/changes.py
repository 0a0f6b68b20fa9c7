"""How LoRA-like networks change one weight: each class is one kind of file entry (behaviours §5.5).

`delta` is the change for multiplier 1, before `scale` (alpha / rank) and DoRA. It is float32, on the weight's device,
and has as many elements as the weight in the same order; a 1x1 convolution and a linear layer stand for each other.

LoRA: Hu et al. 2021. LoHa, LoKr: Yeh et al., "Navigating Text-To-Image Customization" (LyCORIS, 2023). (IA)3: Liu et
al. 2022. GLoRA: Chavan et al., "One-for-All: Generalized LoRA" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

__all__ = ["Change", "FullChange", "Glora", "Ia3", "Loha", "Lokr", "LowRank", "Shape", "same_size"]

Shape = tuple[int, ...]
Tensor = torch.Tensor


class Change(Protocol):
    @property
    def rank(self) -> int | None:
        """What alpha is divided by; None where alpha means nothing."""
        ...

    def fits(self, shape: Shape) -> bool:
        """Whether `delta` can be computed for a weight of this shape; looks at shapes alone."""
        ...

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        """`weight` is float32; `ranks` keeps only the first ranks, where A1111 knows how (plain LoRA)."""
        ...


def same_size(one: Shape, other: Shape) -> bool:
    """Equal but for trailing ones."""
    return _trimmed(one) == _trimmed(other)


def _trimmed(shape: Shape) -> Shape:
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _on(weight: Tensor, *tensors: Tensor) -> list[Tensor]:
    # In this order: torch would widen halves on the CPU and send twice as much.
    return [tensor.to(weight.device).to(torch.float32) for tensor in tensors]


def _rows(tensor: Tensor) -> Tensor:
    return tensor if tensor.dim() == 2 else tensor.flatten(1)


@dataclass(frozen=True, eq=False)
class LowRank:
    """up @ down; with `mid`, a Tucker decomposition of a convolution."""

    up: Tensor
    """[out, rank] or [out, rank, 1, 1]."""
    down: Tensor
    """[rank, in], [rank, in, kh, kw]; [rank, in, 1, 1] with `mid`."""
    mid: Tensor | None = None
    """[rank, rank, kh, kw]."""

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def fits(self, shape: Shape) -> bool:
        up, down = tuple(self.up.shape), tuple(self.down.shape)
        if len(up) < 2 or len(down) < 2:
            return False
        if self.mid is None:
            # A factor of 1x1 may also stand first, then the kernel is the second's.
            return _rows(self.up).shape[1] == down[0] and same_size((up[0], *down[1:]), shape)
        mid = tuple(self.mid.shape)
        flat = len(mid) == 4 and _rows(self.up).shape[1] == mid[0] and mid[1] == down[0]
        return flat and _rows(self.down).shape[1] == down[1] and same_size((up[0], down[1], *mid[2:]), shape)

    def factors(self, weight: Tensor, ranks: int | None) -> tuple[Tensor, Tensor]:
        """The two matrices whose product is the change; only without `mid`."""
        up, down = _on(weight, _rows(self.up), _rows(self.down))
        return up[:, :ranks], down[:ranks]

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        if self.mid is None:
            up, down = self.factors(weight, ranks)
            return up @ down
        up, down, mid = _on(weight, _rows(self.up), _rows(self.down), self.mid)
        return torch.einsum("or,rshw,si->oihw", up, mid, down)


@dataclass(frozen=True, eq=False)
class FullChange:
    """The difference itself; of a layer (`diff`) or of a norm (`w_norm`)."""

    diff: Tensor
    rank: None = None

    def fits(self, shape: Shape) -> bool:
        return same_size(tuple(self.diff.shape), shape)

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        return _on(weight, self.diff)[0]


@dataclass(frozen=True, eq=False)
class Ia3:
    """(IA)3: every row, or every column, of the weight times a learnt factor."""

    factor: Tensor
    """As many elements as the weight has outputs (`on_input`: inputs)."""
    on_input: bool
    rank: None = None

    def fits(self, shape: Shape) -> bool:
        return len(shape) >= 2 and self.factor.numel() == shape[1 if self.on_input else 0]

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        (factor,) = _on(weight, self.factor)
        ones = [1] * (weight.dim() - 2)
        return weight * factor.reshape((1, -1, *ones) if self.on_input else (-1, 1, *ones))


@dataclass(frozen=True, eq=False)
class Loha:
    """(w1a @ w1b) * (w2a @ w2b), element by element; with t1 and t2, of two Tucker decompositions."""

    w1a: Tensor
    """[out, rank]; [rank, out] with `t1`, `t2`."""
    w1b: Tensor
    """[rank, in * kh * kw]; [rank, in] with `t1`, `t2`."""
    w2a: Tensor
    w2b: Tensor
    t1: Tensor | None = None
    """[rank, rank, kh, kw]."""
    t2: Tensor | None = None

    @property
    def rank(self) -> int:
        return self.w1b.shape[0]

    def fits(self, shape: Shape) -> bool:
        parts = ((self.t1, self.w1a, self.w1b), (self.t2, self.w2a, self.w2b))
        return all(_product_fits(core, a, b, shape) for core, a, b in parts)

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        one = _product(weight, self.t1, self.w1a, self.w1b)
        two = _product(weight, self.t2, self.w2a, self.w2b)
        return one.reshape(weight.shape) * two.reshape(weight.shape)


@dataclass(frozen=True, eq=False)
class Lokr:
    """Kronecker product of two matrices (or of a matrix and a kernel), each whole or as a product."""

    w1: tuple[Tensor, ...]
    """[a, b], or its factors [a, rank], [rank, b]."""
    w2: tuple[Tensor, ...]
    """[c, d, …], or its factors; with `t2` these are [rank, c], [rank, d]."""
    t2: Tensor | None = None
    """[rank, rank, kh, kw]."""

    @property
    def rank(self) -> int | None:
        """None where both are whole: then A1111 takes no notice of alpha."""
        for factors in (self.w2, self.w1):
            if len(factors) == 2:
                return factors[1].shape[0]
        return None

    def fits(self, shape: Shape) -> bool:
        one, two = _factored(self.w1, None), _factored(self.w2, self.t2)
        if one is None or two is None or len(one) != 2:
            return False
        kron = (one[0] * two[0], one[1] * two[1], *two[2:])
        # A matrix over a kernel written out: the second factor's columns hold the kernel.
        return same_size(kron, shape) or (len(two) == 2 and kron == (shape[0], _size(shape[1:])))

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        one = self.w1[0] if len(self.w1) == 1 else None
        first = _on(weight, one)[0] if one is not None else _product(weight, None, *self.w1)
        second = _on(weight, self.w2[0])[0] if len(self.w2) == 1 else _product(weight, self.t2, *self.w2)
        return torch.kron(first.reshape(*first.shape, *[1] * (second.dim() - 2)), second.contiguous())


@dataclass(frozen=True, eq=False)
class Glora:
    """W @ a2 @ a1 + b2 @ b1."""

    a1: Tensor
    """[rank, in]."""
    a2: Tensor
    """[in, rank]."""
    b1: Tensor
    """[rank, in]."""
    b2: Tensor
    """[out, rank]."""

    @property
    def rank(self) -> int:
        return self.a1.shape[0]

    def fits(self, shape: Shape) -> bool:
        if any(t.dim() < 2 for t in (self.a1, self.a2, self.b1, self.b2)):
            return False
        a1, a2, b1, b2 = (tuple(_rows(t).shape) for t in (self.a1, self.a2, self.b1, self.b2))
        width = _size(shape[1:])
        return a2 == (width, a1[0]) and a1[1] == width and b2 == (shape[0], b1[0]) and b1[1] == width

    def delta(self, weight: Tensor, ranks: int | None) -> Tensor:
        a1, a2, b1, b2 = (_rows(t) for t in _on(weight, self.a1, self.a2, self.b1, self.b2))
        return weight.flatten(1) @ a2 @ a1 + b2 @ b1


def _size(shape: Shape) -> int:
    return torch.Size(shape).numel()


def _product_fits(core: Tensor | None, a: Tensor, b: Tensor, shape: Shape) -> bool:
    if core is not None:
        whole = _factored((a, b), core)
        return whole is not None and same_size(whole, shape)
    flat = a.dim() >= 2 and b.dim() >= 2
    return flat and _rows(a).shape[1] == b.shape[0] and (a.shape[0], _rows(b).shape[1]) == (shape[0], _size(shape[1:]))


def _factored(factors: tuple[Tensor, ...], core: Tensor | None) -> Shape | None:
    """Shape of what the factors make; None where they do not go together."""
    if len(factors) == 1:
        return tuple(factors[0].shape) if factors[0].dim() >= 2 else None
    a, b = factors
    if a.dim() < 2 or b.dim() < 2:
        return None
    if core is None:
        return (a.shape[0], *b.shape[1:]) if _rows(a).shape[1] == b.shape[0] else None
    agree = core.dim() == 4 and a.dim() == b.dim() == 2 and (a.shape[0], b.shape[0]) == tuple(core.shape[:2])
    return (a.shape[1], b.shape[1], *core.shape[2:]) if agree else None


def _product(weight: Tensor, core: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """The product a @ b; around a core, sum over p and q of core[p, q] * a[p, out] * b[q, in]."""
    left, right = _on(weight, a, b)
    if core is None:
        return (_rows(left) @ _rows(right)).reshape(a.shape[0], *b.shape[1:])
    return torch.einsum("pqhw,po,qi->oihw", _on(weight, core)[0], left, right)
