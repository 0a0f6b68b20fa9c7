"""Where networks run, and how precisely."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Device"]


@dataclass(frozen=True)
class Device:
    """Half precision on CUDA, full on the CPU, which has no fast half."""

    torch_device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, name: str | None = None) -> Device:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(device, torch.float16 if device.type == "cuda" else torch.float32)

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"
