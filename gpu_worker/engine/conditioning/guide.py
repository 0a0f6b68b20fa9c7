"""The conditioning of one pass: encoded prompts along its calls, guidance, and what inpainting models read besides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gpu_worker.engine.adapters.beside import runs_beside
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.control.units import ControlMap, OpenedUnit
from gpu_worker.engine.image_prompts.book import ImageTokens
from gpu_worker.engine.regional import PlacedRegions
from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.engine.state import ModelState
from gpu_worker.protocol.specs import Regions

__all__ = ["Encoded", "Guide", "ImageShare", "PartNetworks", "Timeline", "encoding_at"]


@dataclass(frozen=True, eq=False)
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
class ImageShare:
    """Pictures read as prompts, during a share of the pass."""

    tokens: ImageTokens
    start: float
    end: float

    def counts(self, done: float) -> bool:
        """As A1111's control units, by the share of the steps that lie behind (behaviours §17)."""
        return self.start <= done <= self.end


@dataclass(frozen=True, eq=False)
class PartNetworks:
    """The LoRAs that one part of an `AND` is drawn with."""

    merged: tuple[AppliedNetwork, ...]
    beside: tuple[AppliedNetwork, ...] = ()
    """Those that its rows have beside the weights, so that they share a batch with the others'."""

    @classmethod
    def of(cls, own: tuple[AppliedNetwork, ...], shared: tuple[AppliedNetwork, ...]) -> PartNetworks:
        """`own` are all of a part's, `shared` those of the whole picture."""
        more = own[len(shared) :]
        starts_alike = [network.key for network in own[: len(shared)]] == [network.key for network in shared]
        if starts_alike and all(map(runs_beside, more)):
            return cls(shared, more)
        return cls(own)


@dataclass(frozen=True, eq=False)
class Guide:
    state: ModelState
    table: SigmaTable
    """The checkpoint's noise levels, as this job reads them."""
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
    """Below this sigma every second call leaves the negative prompt out (A1111's s_min_uncond)."""
    images: ImageShare | None = None
    control: tuple[OpenedUnit, ...] = ()
    maps: tuple[ControlMap, ...] = ()
    """Of `control`, once the size of the latent is known."""
    regions: Regions | None = None
    """Where each part of the `AND` counts."""
    placed: PlacedRegions | None = None
    """Of `regions`, once the size of the latent is known."""
    parts: tuple[PartNetworks, ...] = ()
    """Of each part of the `AND`, where they have LoRAs of their own."""
    refiner: tuple[float, Guide] | None = None
    """From this share of the trained noise levels on, another guide."""

    def at(self, sigma: float) -> Guide:
        """The guide of a call: the refiner's once its share has begun."""
        if self.refiner is None:
            return self
        share, refiner = self.refiner
        trained = len(self.table.sigmas)
        done = (trained - 1 - int(np.abs(self.table.sigmas - sigma).argmin())) / trained
        return refiner if done >= share else self
