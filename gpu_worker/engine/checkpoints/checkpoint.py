"""A loaded checkpoint: networks on their device, tokenizer, noise levels."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.preview import PreviewMap
from gpu_worker.engine.sampling.sigmas import SigmaTable

__all__ = ["Checkpoint", "Device"]


@dataclass(frozen=True)
class Device:
    """Where networks run and how precisely: half on CUDA, full on the CPU, which has no fast half."""

    torch_device: torch.device
    dtype: torch.dtype

    @classmethod
    def choose(cls, name: str | None = None) -> Device:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(device, torch.float16 if device.type == "cuda" else torch.float32)

    @property
    def is_cuda(self) -> bool:
        return self.torch_device.type == "cuda"


@dataclass(frozen=True)
class Checkpoint:
    """The networks are shared by every job: whoever changes their weights or modes restores them before returning."""

    name: str
    unet: Any
    """diffusers' UNet2DConditionModel."""
    vae: Any
    """diffusers' AutoencoderKL."""
    text_encoder: Any
    """transformers' CLIPTextModel."""
    tokenizer: Any
    """transformers' CLIPTokenizer."""
    latent_scale: float
    table: SigmaTable
    device: Device

    @property
    def latent_channels(self) -> int:
        return int(self.unet.config.in_channels)

    @property
    def factor(self) -> int:
        """Pixels to a side of a latent cell."""
        return 1 << (len(self.vae.config.block_out_channels) - 1)

    @functools.cached_property
    def preview_map(self) -> PreviewMap:
        """Learns as pictures are decoded."""
        return PreviewMap(self.latent_channels)
