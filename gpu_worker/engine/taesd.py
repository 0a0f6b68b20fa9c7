"""TAESD: a tiny decoder whose previews show almost the finished picture, where its file is installed.

Ollin Boer Bohan's taesd and taesdxl, in their own layout (`1.weight`, `3.conv.0.weight` …) or diffusers'
(`decoder.layers.0.weight`, the same numbers less one, because the clamp in front has no weights). It reads the latent
as the sampler knows it, without the VAE's scale.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from gpu_worker.engine.adapters.tensor_file import read_tensors
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.preview import Colours
from gpu_worker.language.models import ModelFile

__all__ = ["PreviewDecoders"]

log = logging.getLogger(__name__)

SIDE_MAX = 96
"""Cells of a latent's longer side that are decoded; a preview is smaller anyway."""
COST_MAX_S = 0.4
"""A decoder that takes longer (large pictures on a processor) would slow the drawing down, so it is not used again."""
_OWN = re.compile(r"(\d+)\.(.+)")
_DIFFUSERS = "decoder.layers."


class _Drawn(Protocol):
    """Of a checkpoint what matters here."""

    @property
    def family(self) -> str: ...


class PreviewDecoders:
    """`models` names what is there now. Not thread-safe, like all of the engine."""

    def __init__(
        self, models: Callable[[], Sequence[ModelFile]], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._models = models
        self._clock = clock
        self._loaded: tuple[object, torch.device, Any] | None = None
        self._refused: set[object] = set()

    def colours(self, checkpoint: _Drawn, denoised: torch.Tensor) -> Colours | None:
        """[n, h, w, 3] uint8, a picture's own pixels up to `SIDE_MAX` cells; None where no file fits or it cannot be
        used, so that the cheap estimate takes its place. Raises RuntimeError where memory is short."""
        file = self._file_for(checkpoint)
        if file is None or self._key(file) in self._refused:
            return None
        decoder = self._decoder(file, denoised.device)
        if decoder is None or decoder.layers[0].in_channels != denoised.shape[1]:
            self._refused.add(self._key(file))
            return None
        started = self._clock()
        shown = [_pixels(decoder, latent) for latent in denoised.split(1)]
        cost_s = (self._clock() - started) / max(1, len(shown))
        if cost_s > COST_MAX_S:
            log.info("previews by %s take %.1f s a picture here, so the estimate is used", file.fact.name, cost_s)
            self._refused.add(self._key(file))
        return torch.cat(shown).numpy()

    def _file_for(self, checkpoint: _Drawn) -> ModelFile | None:
        usable = [file for file in self._models() if file.fact.kind == "preview" and file.fact.problem is None]
        wide = checkpoint.family in ("sdxl", "sdxl_refiner")
        return next((file for file in usable if ("xl" in file.fact.name.lower()) is wide), None)

    @staticmethod
    def _key(file: ModelFile) -> object:
        return file.stamp or file.path

    def _decoder(self, file: ModelFile, device: torch.device) -> Any | None:
        key = self._key(file)
        if self._loaded is not None and self._loaded[:2] == (key, device):
            return self._loaded[2]
        try:
            decoder = _read(file)
        except (EngineError, RuntimeError, ValueError) as error:
            log.warning("the preview decoder %s cannot be used: %s", file.path, error)
            return None
        half = device.type == "cuda"
        decoder = decoder.to(device, torch.float16 if half else torch.float32).eval().requires_grad_(False)
        self._loaded = (key, device, decoder)
        return decoder


def _read(file: ModelFile) -> Any:
    """Diffusers' DecoderTiny. Raises EngineError, RuntimeError."""
    from diffusers.models.autoencoders.vae import DecoderTiny

    tensors = read_tensors(file.weights, {"preview": file.fact.name})
    weights: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        own = _OWN.fullmatch(key)
        if key.startswith(_DIFFUSERS):
            weights[key.removeprefix("decoder.")] = tensor
        elif own is not None:
            weights[f"layers.{int(own[1]) - 1}.{own[2]}"] = tensor
    first = weights.get("layers.0.weight")
    if first is None or first.ndim != 4:
        raise EngineError("bad_model", f"{file.path} is no TAESD decoder", {"preview": file.fact.name})
    decoder = DecoderTiny(
        in_channels=int(first.shape[1]),
        out_channels=3,
        num_blocks=(3, 3, 3, 1),
        block_out_channels=(64, 64, 64, 64),
        upsampling_scaling_factor=2,
        act_fn="relu",
        upsample_fn="nearest",
    )
    decoder.load_state_dict(weights)
    return decoder


def _pixels(decoder: Any, latent: torch.Tensor) -> torch.Tensor:
    """[1, h, w, 3] uint8 on the processor."""
    scale = SIDE_MAX / max(latent.shape[2:])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in latent.shape[2:]]
        latent = torch.nn.functional.interpolate(latent.float(), size=size, mode="area")
    dtype = next(decoder.parameters()).dtype
    with torch.no_grad():
        decoded = decoder(latent.to(dtype)).float()
    return (((decoded + 1) / 2).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()
