"""Out of memory is a handled case: what it looks like, and how to go on in smaller portions."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

__all__ = ["Portions", "free", "is_out_of_memory"]


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA and Python have an exception of their own; the CPU allocator only has a sentence."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def free(device: torch.device) -> None:
    """Returns what is not referenced to the card."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


class Portions:
    """Runs work over a batch, in halves and halves again once the whole does not fit; it keeps the size that did."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._at_once: int | None = None

    def run(
        self, batch: torch.Tensor, work: Callable[[torch.Tensor], torch.Tensor], at_most: int | None = None
    ) -> torch.Tensor:
        """`work` maps [k, …] to [k, …] and treats the entries apart. Raises what `work` raises for a single entry.

        `at_most` entries are tried at first where a card would say by itself what is too much: main memory is not
        refused, the process that took it is killed.
        """
        bound = at_most if at_most and self._device.type == "cpu" else len(batch)
        while True:
            size = min(self._at_once or len(batch), bound, len(batch))
            try:
                if size == len(batch):
                    return work(batch)
                return torch.cat([work(part) for part in batch.split(size)])
            except (RuntimeError, MemoryError) as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                self._at_once = (size + 1) // 2
            # Outside the handler: the exception's frames would keep the failed tensors alive.
            free(self._device)
