"""How many bytes of models may stay loaded, where the operator did not say."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

from gpu_worker.engine.device import Device
from gpu_worker.engine.options import EngineOptions

__all__ = ["card_budget", "memory_budget"]

GIB = 1 << 30
RAM_SHARE = 0.5
VRAM_SHARE = 0.7
VRAM_WORK_BYTES = 3 * GIB // 2
"""What drawing itself needs at least."""
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_budget(options: EngineOptions) -> int:
    """In the machine's memory: half of it, or of what its container may have."""
    if options.ram_cache_gb is not None:
        return int(options.ram_cache_gb * GIB)
    import psutil

    total = int(psutil.virtual_memory().total)
    for limit in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # absent elsewhere; "max" without a limit
            total = min(total, int(limit.read_text(encoding="ascii")))
    return int(total * RAM_SHARE)


def card_budget(device: Device, options: EngineOptions) -> int | None:
    """On the card; None where the card is the machine's memory, or its size is unknown."""
    if options.vram_cache_gb is not None:
        return int(options.vram_cache_gb * GIB)
    if not device.is_cuda:
        return None
    total = int(torch.cuda.get_device_properties(device.torch_device).total_memory)
    return max(0, min(int(total * VRAM_SHARE), total - VRAM_WORK_BYTES))
