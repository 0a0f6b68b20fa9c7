"""The conditioning of one pass: encoded prompts along its calls, guidance, and what inpainting models read besides."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gpu_worker.engine.state import ModelState

__all__ = ["Encoded", "Guide", "Timeline", "encoding_at"]


@dataclass(frozen=True)
class Encoded:
    """One text as the UNet reads it."""

    context: torch.Tensor
    """[1, 77 * chunks, width]."""
    pooled: torch.Tensor | None = None
    """[1, width]; SDXL only."""


Timeline = tuple[tuple[int, Encoded], ...]
"""(last call, encoding) in order: what A1111's prompt schedule becomes (behaviours §2.3)."""


def encoding_at(timeline: Timeline, number: int) -> Encoded:
    """The encoding of the call `number`, counted from 0."""
    return next((encoded for last, encoded in timeline if number <= last), timeline[-1][1])


@dataclass(frozen=True, eq=False)
class Guide:
    state: ModelState
    positive: tuple[tuple[float, Timeline], ...]
    """The parts of an `AND`, with their weights."""
    negative: Timeline
    scale: float
    """CFG scale; 1 leaves the negative prompt out."""
    width: int
    height: int
    """In pixels; SDXL reads them."""
    concat: torch.Tensor | None = None
    """[1 or n, channels, h, w] beside the latent, for inpainting and pix2pix checkpoints."""
    image_scale: float = 1.0
    """pix2pix: the image's own guidance scale."""
    ngms: float = 0.0
    refiner: tuple[float, Guide] | None = None
    """From this share of the noise levels on, another guide."""
