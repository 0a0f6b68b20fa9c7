"""A LoRA-like network with the weights a prompt gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_worker.engine.adapters.network_part import NetworkPart
from gpu_worker.language.networks import LoraRef

__all__ = ["AppliedNetwork"]


@dataclass(frozen=True, eq=False)
class AppliedNetwork:
    ref: LoraRef
    parts: Sequence[NetworkPart]
    stamp: tuple[str, int, int]
    """Path, size and modification time of its file: equal stamps are taken for equal parts."""

    @property
    def key(self) -> tuple[object, ...]:
        return self.stamp, self.ref.te, self.ref.unet, self.ref.rank
