"""Where networks run, and how: precision, attention, memory format, and what may be kept on the card."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Literal

import torch

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.options import EngineOptions, Memory, Switch

__all__ = ["Device"]

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Device:
    """Half precision on CUDA, full on the CPU, which has no fast half, unless the operator chose otherwise."""

    torch_device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype = field(default=torch.float32)
    attention: Literal["sdpa", "xformers", "split"] = "sdpa"
    channels_last: bool = False
    memory: Memory = "auto"
    tiled_vae: Switch = "auto"

    @classmethod
    def choose(cls, wish: EngineOptions | str | None = None) -> Device:
        """By the operator's options, or by a torch name alone. Raises EngineError `other` with a `reason` for what this
        machine cannot do: `no_such_device`, `no_xformers`."""
        options = wish if isinstance(wish, EngineOptions) else EngineOptions(device=wish)
        name = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise EngineError("other", f"{name}: {error}", {"reason": "no_such_device", "device": name}) from error
        cuda = device.type == "cuda"
        dtype = _DTYPES.get(options.precision) or (torch.float16 if cuda else torch.float32)
        attention = "sdpa" if options.attention == "auto" else options.attention
        if attention == "xformers" and (not cuda or importlib.util.find_spec("xformers") is None):
            raise EngineError("other", "xformers is not installed or has no card here", {"reason": "no_xformers"})
        return cls(
            torch_device=device,
            dtype=dtype,
            vae_dtype=torch.float32 if options.no_half_vae else dtype,
            attention=attention,
            channels_last=cuda if options.channels_last == "auto" else options.channels_last == "on",
            memory=options.memory,
            tiled_vae=options.tiled_vae,
        )

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"
