"""What the weights must be for a call: which checkpoint, what is merged into it, how its convolutions pad."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint

__all__ = ["ModelState"]


@dataclass(frozen=True, eq=False)
class ModelState:
    """Calls with equal keys can share one UNet batch, whoever asked for them."""

    checkpoint: Checkpoint
    networks: tuple[AppliedNetwork, ...] = ()
    tiling: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        return id(self.checkpoint), tuple(network.key for network in self.networks), self.tiling
