"""What an operator may choose about how the engine runs; every value has a sensible automatic one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Attention", "EngineOptions", "Memory", "Precision", "Switch"]

Memory = Literal["auto", "high", "medium", "low"]
Attention = Literal["auto", "sdpa", "xformers", "split"]
Precision = Literal["auto", "fp16", "bf16", "fp32"]
Switch = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class EngineOptions:
    """None of these changes which picture a seed gives, beyond rounding; tiles are blended where they meet."""

    device: str | None = None
    """torch's name; None takes CUDA where there is any."""
    memory: Memory = "auto"
    """`medium` keeps one of text encoder, UNet and VAE on the card at a time, `low` also moves the UNet block by block
    (A1111's medvram and lowvram); `high` keeps all of it there; `auto` decides by the card's memory."""
    attention: Attention = "auto"
    precision: Precision = "auto"
    """Of UNet and text encoders; auto is fp16 on CUDA and fp32 on the CPU."""
    channels_last: Switch = "auto"
    no_half_vae: bool = False
    """Runs the VAE in fp32 always, instead of only where half precision overflowed."""
    tiled_vae: Switch = "auto"
    """Decodes and encodes in overlapping tiles: `auto` where the whole did not fit into memory."""
    ldsr_steps: int = 100
    """Of the upscaler LDSR, from 1 to 1000 (A1111's setting of that name)."""
    ram_cache_gb: float | None = None
    """Budget for loaded checkpoints in the machine's memory; None takes a share of what it has."""
    vram_cache_gb: float | None = None
