"""A loaded checkpoint: networks, vocabularies, noise levels."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from gpu_worker.engine.device import Device
from gpu_worker.engine.preview import PreviewMap
from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.protocol.messages import Prediction

__all__ = ["Checkpoint", "Concat", "EncoderKind", "Family", "Part", "Prediction", "TextEncoder"]

Family = Literal["sd1", "sd2", "sdxl", "sdxl_refiner"]
EncoderKind = Literal["clip_l", "clip_g", "open_clip"]
"""The text models of SD 1.x and SDXL, of SDXL alone, and of SD 2.x."""
Concat = Literal["none", "inpaint", "pix2pix"]
"""What the UNet reads beside the latent: mask and masked picture (9 channels), or the picture (8); behaviours §10."""
Part = Literal["text", "unet", "vae", "control"]


@dataclass(frozen=True)
class TextEncoder:
    """One text model and how A1111 reads it (behaviours §3.4, §3.5)."""

    kind: EncoderKind
    model: Any
    """transformers' CLIPTextModel or CLIPTextModelWithProjection."""
    tokenizer: Any
    """transformers' CLIPTokenizer."""
    pad: int
    """Fills a chunk up: the end token for CLIP-L, 0 for the OpenCLIP models."""
    layer: int = 1
    """The hidden state that is read, counted from the last; clip skip replaces it where `skips`."""
    skips: bool = True
    final_norm: bool = True
    """Whether the final layer norm is laid over the state that is read."""


@dataclass(frozen=True)
class Checkpoint:
    """The networks are shared by every job: whoever changes their weights or modes restores them before returning."""

    name: str
    family: Family
    unet: Any
    """diffusers' UNet2DConditionModel."""
    vae: Any
    """diffusers' AutoencoderKL."""
    text_encoders: tuple[TextEncoder, ...]
    """SDXL has two, whose vectors are laid side by side; its refiner has the second alone."""
    latent_scale: float
    table: SigmaTable
    device: Device
    prediction: Prediction = "epsilon"
    concat: Concat = "none"
    bring: Callable[[Part], None] | None = None
    """How a part gets to the card; None: all of it is where it is used."""

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)

    @property
    def factor(self) -> int:
        """Pixels to a side of a latent cell."""
        return 1 << (len(self.vae.config.block_out_channels) - 1)

    def need(self, part: Part) -> None:
        """Brings a part to the card before it is used; where memory is short another part makes room."""
        if self.bring is not None:
            self.bring(part)

    @functools.cached_property
    def preview_map(self) -> PreviewMap:
        """Learns as pictures are decoded."""
        return PreviewMap(self.latent_channels)
