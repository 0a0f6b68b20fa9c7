"""A module's parameter that is exchanged for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

__all__ = ["Slot", "roomy"]

Tensor = torch.Tensor

SHARE_OF_FREE = 0.5
"""Originals stay on the card while the merged copies take at most this share of what is free there."""


class Slot:
    """The parameter object stays; its data is exchanged. A parameter that was None is made, and is None again after."""

    def __init__(self, module: Any, name: Literal["weight", "bias"]) -> None:
        self._module = module
        self._name = name
        self._original: Tensor | None = None
        self._made = False

    def begin(self, device: torch.device, keep: bool) -> Tensor:
        """The original values in contiguous float32 on `device`, to be changed freely and handed to `finish`; zeros
        where there is no parameter yet.

        `keep` leaves the original where it is and lets the merged one have memory of its own; else the original waits
        in main memory, and the merged one takes its place.
        """
        parameter = getattr(self._module, self._name)
        if parameter is None or self._made:
            return torch.zeros(self._module.weight.shape[0], device=device)
        data: Tensor = parameter.data
        source = data if self._original is None else self._original
        if self._original is None:
            self._original = data if keep else data.to("cpu", copy=True)
        elif _reusable(data, source, device):
            return data.copy_(source)  # memory of the last merge
        return source.to(device).to(torch.float32, copy=True, memory_format=torch.contiguous_format)

    def finish(self, total: Tensor) -> None:
        """Puts the merged values in place; sums were made in float32 and are rounded once."""
        parameter = getattr(self._module, self._name)
        if parameter is None:
            weight = self._module.weight
            made = torch.nn.Parameter(total.to(weight.device, weight.dtype), requires_grad=False)
            self._made = True
            setattr(self._module, self._name, made)
            return
        data: Tensor = parameter.data
        if total.data_ptr() == data.data_ptr():
            return
        if self._made or self._original is None or _apart(data, self._original):
            data.copy_(total)
        elif (total.device, total.dtype, total.stride()) == (data.device, data.dtype, data.stride()):
            parameter.data = total
        else:
            parameter.data = torch.empty_like(data).copy_(total)

    def restore(self) -> None:
        if self._made:
            setattr(self._module, self._name, None)
            self._made = False
        elif self._original is not None:
            parameter = getattr(self._module, self._name)
            if parameter.device == self._original.device:
                parameter.data = self._original
            else:
                parameter.data.copy_(self._original)
            self._original = None


def roomy(weights: Sequence[Tensor]) -> bool:
    """Whether merged copies of all of them fit beside the originals."""
    cuda = [weight for weight in weights if weight.is_cuda]
    if not cuda:
        return True
    device = cuda[0].device
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return sum(weight.nbytes for weight in cuda) <= free * SHARE_OF_FREE


def _reusable(data: Tensor, original: Tensor, device: torch.device) -> bool:
    plain = data.dtype == torch.float32 and data.is_contiguous() and data.device.type == device.type
    return plain and _apart(data, original)


def _apart(one: Tensor, other: Tensor) -> bool:
    """Whether writing into one leaves the other alone."""
    return one.untyped_storage().data_ptr() != other.untyped_storage().data_ptr()
