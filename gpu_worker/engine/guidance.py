"""Guidance: what a sampler's call asks of the UNet, and how the UNet's answers become a prediction.

Classifier-free guidance: Ho and Salimans (2022). AND: Liu et al., "Compositional Visual Generation with Composable
Diffusion Models" (2022). Image guidance: Brooks et al., "InstructPix2Pix" (2023). All of it is linear in the model's
answer, so answers are mixed first and read as epsilon or v once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.calls import GuidedCall, Prediction
from gpu_worker.engine.conditioning.guide import Encoded, Guide, encoding_at
from gpu_worker.engine.control.colourfix import colour_fixed, colour_fixing
from gpu_worker.engine.control.units import ControlMap
from gpu_worker.engine.regional import PlacedRegions
from gpu_worker.engine.state import ModelState

__all__ = ["Question", "Rows", "ask"]

AESTHETIC, AESTHETIC_NEGATIVE = 6.0, 2.5
"""What A1111 tells SDXL's refiner (behaviours §3.5)."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The pictures of one call under one text: rows of a UNet batch."""

    sample: torch.Tensor
    """[n, channels, h, w], scaled as the model reads it, in its precision."""
    state: ModelState
    timestep: float
    context: torch.Tensor
    """[1, length, width]."""
    pooled: torch.Tensor | None
    time_ids: tuple[float, ...] | None
    control: tuple[ControlMap, ...] = ()
    beside: tuple[AppliedNetwork, ...] = ()
    """LoRAs of these rows alone, beside the weights."""
    images: tuple[torch.Tensor, ...] = ()
    """Of each picture that is read as a prompt [1, tokens, width]; all rows of a model state have as many."""

    @property
    def shape(self) -> tuple[object, ...]:
        """Rows of equal shape fit into one batch."""
        return *self.sample.shape[1:], *self.context.shape[1:], *(tokens.shape[1] for tokens in self.images)


@dataclass(frozen=True, eq=False)
class Question:
    """A call taken apart; `answer` puts it together again."""

    call: GuidedCall
    guide: Guide
    rows: tuple[Rows, ...]
    weights: tuple[float, ...]
    """Of the texts of an AND, times the guidance scale; their rows come first."""
    kind: str
    """`plain` (one text, no guidance), `guided`, `skipped` (the first text stands in for the negative), `image`."""
    regions: PlacedRegions | None = None
    """Where each text counts at this step; None: everywhere."""
    led: tuple[ControlMap, ...] = ()
    """The control maps that count now."""

    def answer(self, outputs: Sequence[torch.Tensor]) -> Prediction:
        """`outputs` are the UNet's answers to `rows`, float32."""
        conds, rest = outputs[: len(self.weights)], outputs[len(self.weights) :]
        uncond = conds[0] if self.kind in ("plain", "skipped") else rest[0]
        if self.regions is not None:
            conds = self.regions.blended(conds, uncond)
        if fixes := colour_fixing(self.led):
            return self._fixed(conds, uncond, fixes)
        if self.kind == "plain":
            mixed = conds[0]
        elif self.kind == "image":
            blind = rest[1]
            mixed = blind + self.guide.image_scale * (uncond - blind) + self.weights[0] * (conds[0] - uncond)
        else:
            mixed = uncond
            for weight, cond in zip(self.weights, conds, strict=True):
                mixed = mixed + weight * (cond - uncond)
        wanted = self.call.call.wants_uncond
        return Prediction(self._denoised(mixed), self._denoised(uncond) if wanted else None)

    def _fixed(self, conds: Sequence[torch.Tensor], uncond: torch.Tensor, fixes: tuple[ControlMap, ...]) -> Prediction:
        """As above, in what is left without noise, where colours are: that is linear in the answers, too."""
        negative = self.kind not in ("plain", "skipped")
        away = colour_fixed(self._denoised(uncond), fixes, negative=negative)
        toward = [colour_fixed(self._denoised(cond), fixes, negative=False) for cond in conds]
        mixed = toward[0] if self.kind == "plain" else away
        if self.kind != "plain":
            for weight, cond in zip(self.weights, toward, strict=True):
                mixed = mixed + weight * (cond - away)
        return Prediction(mixed, away if self.call.call.wants_uncond else None)

    def _denoised(self, output: torch.Tensor) -> torch.Tensor:
        x, sigma = self.call.call.x, self.call.call.sigma
        if self.guide.state.checkpoint.prediction == "epsilon":
            return x - sigma * output
        # Salimans and Ho (2022), in this scale: Karras et al. (2022), table 1, with sigma_data 1
        return x / (sigma**2 + 1) - output * (sigma / math.sqrt(sigma**2 + 1))


def ask(call: GuidedCall) -> Question:
    asked = call.call
    guide = _in_share(call)
    scale = guide.scale * asked.cfg_multiplier
    texts = _equal_lengths([encoding_at(timeline, call.number) for _, timeline in guide.positive])
    weights = tuple(weight * scale for weight, _ in guide.positive)
    negative = encoding_at(guide.negative, call.number)
    shown, hidden = (guide.images.tokens.pictures, guide.images.tokens.nothing) if guide.images else ((), ())
    led = tuple(each for each in guide.maps if each.counts(call.done))
    uncond = tuple(each for each in led if not each.opened.on_cond_alone)
    rows = [_rows(call, guide, text, AESTHETIC, led, images=shown) for text in texts]
    if guide.parts:
        rows = [
            dataclasses.replace(row, state=dataclasses.replace(guide.state, networks=part.merged), beside=part.beside)
            for row, part in zip(rows, guide.parts, strict=True)
        ]
    regions = guide.placed if guide.placed is not None and guide.placed.counts(call.step) else None
    if guide.state.checkpoint.concat == "pix2pix" and guide.image_scale != 1:
        blind = torch.zeros_like(guide.concat) if guide.concat is not None else None
        rows.append(_rows(call, guide, negative, AESTHETIC_NEGATIVE, uncond, images=hidden))
        rows.append(_rows(call, guide, negative, AESTHETIC_NEGATIVE, uncond, blind, images=hidden))
        return Question(call, guide, (rows[0], *rows[-2:]), weights[:1], "image", regions)
    if weights == (1.0,) and not asked.wants_uncond and regions is None:
        return Question(call, guide, tuple(rows), weights, "plain", led=led)
    if call.number % 2 and 0 < asked.sigma < guide.ngms:
        return Question(call, guide, tuple(rows), weights, "skipped", regions, led)
    rows.append(_rows(call, guide, negative, AESTHETIC_NEGATIVE, uncond, images=hidden))
    return Question(call, guide, tuple(rows), weights, "guided", regions, led)


def _in_share(call: GuidedCall) -> Guide:
    """Outside their share of the steps pictures are as good as not there."""
    guide = call.guide
    if guide.images is None or guide.images.counts(call.done):
        return guide
    return dataclasses.replace(guide, images=None, state=dataclasses.replace(guide.state, images=None))


def _rows(
    call: GuidedCall,
    guide: Guide,
    text: Encoded,
    aesthetic: float,
    control: tuple[ControlMap, ...],
    concat: torch.Tensor | None = None,
    images: tuple[torch.Tensor, ...] = (),
) -> Rows:
    checkpoint = guide.state.checkpoint
    x, sigma = call.call.x, call.call.sigma
    sample = (x * (1 / math.sqrt(sigma**2 + 1))).to(checkpoint.device.dtype)
    concat = guide.concat if concat is None else concat
    if concat is not None:
        sample = torch.cat([sample, concat.to(sample).expand(len(x), -1, -1, -1)], dim=1)
    timestep = guide.table.timestep(sigma) if call.call.timestep is None else call.call.timestep
    size = (float(guide.height), float(guide.width))
    ids = {"sdxl": (*size, 0.0, 0.0, *size), "sdxl_refiner": (*size, 0.0, 0.0, aesthetic)}.get(checkpoint.family)
    return Rows(sample, guide.state, timestep, text.context, text.pooled if ids else None, ids, control, images=images)


def _equal_lengths(texts: list[Encoded]) -> list[Encoded]:
    """A1111 repeats the last vector of the shorter parts of an AND (behaviours §2.4)."""
    longest = max(text.context.shape[1] for text in texts)

    def padded(text: Encoded) -> Encoded:
        missing = longest - text.context.shape[1]
        if not missing:
            return text
        return Encoded(torch.cat([text.context, text.context[:, -1:].expand(-1, missing, -1)], dim=1), text.pooled)

    return [padded(text) for text in texts]
