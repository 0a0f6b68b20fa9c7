"""Pictures to latents and back through a checkpoint's VAE, in precision and portions that work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.memory import Portions, free, is_out_of_memory

__all__ = ["decode_latents", "encode_pictures", "pictures_of"]

CELLS_AT_ONCE = 4 * 64 * 64
"""Latent cells that are decoded or encoded at once on the CPU: 4 pictures of 512 px."""


def decode_latents(checkpoint: Checkpoint, latents: torch.Tensor) -> torch.Tensor:
    """[n, 3, h, w] in -1 to 1, float32."""
    checkpoint.need("vae")

    def decode(part: torch.Tensor) -> torch.Tensor:
        vae = checkpoint.vae
        return vae.decode((part / checkpoint.latent_scale).to(vae.dtype), return_dict=False)[0].float()

    return _careful(checkpoint, latents, decode)


def encode_pictures(checkpoint: Checkpoint, pictures: Sequence[Picture | Floats]) -> torch.Tensor:
    """Latents [n, c, h // factor, w // factor], float32. All pictures have one size and type: uint8, or float32 from
    -1 to 1.

    The mean of the posterior is taken. A1111 draws from it with unseeded noise far below one grey level, which could
    never be drawn again.
    """
    checkpoint.need("vae")
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(checkpoint.device.torch_device)

    def encode(part: torch.Tensor) -> torch.Tensor:
        vae = checkpoint.vae
        part = part.float() / 127.5 - 1 if part.dtype == torch.uint8 else part
        mean = vae.encode(part.to(vae.dtype)).latent_dist.mode()
        return mean.float() * checkpoint.latent_scale

    return _careful(checkpoint, stacked, encode)


def pictures_of(decoded: torch.Tensor) -> list[Picture]:
    """uint8 pictures, cut off and not rounded, as A1111 does."""
    scaled = ((decoded + 1) / 2).clamp(0, 1) * 255
    return list(scaled.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy())


def _careful(checkpoint: Checkpoint, batch: torch.Tensor, work: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """`work` over `batch`: whole, then in portions, then in tiles; once more in full precision where half gave NaN."""
    device = checkpoint.device
    portions = Portions(device.torch_device)
    per_picture = batch.shape[2] * batch.shape[3] // (1 if batch.shape[1] == checkpoint.latent_channels else 64)
    at_most = max(1, CELLS_AT_ONCE // max(1, per_picture))

    def attempt() -> torch.Tensor:
        # Where convolutions wrap, each tile would wrap on itself.
        tiles = "off" if _wraps(checkpoint.vae) else device.tiled_vae
        if tiles != "on":
            try:
                return portions.run(batch, work, at_most)
            except (RuntimeError, MemoryError) as error:
                if tiles == "off" or not is_out_of_memory(error):
                    raise
            free(device.torch_device)
        with _tiled(checkpoint.vae):
            return portions.run(batch, work, at_most)

    result = attempt()
    if checkpoint.vae.dtype == torch.float16 and not bool(torch.isfinite(result).all()):
        with _full_precision(checkpoint.vae):
            result = attempt()
    return result


def _wraps(vae: torch.nn.Module) -> bool:
    return any(isinstance(m, torch.nn.Conv2d) and m.padding_mode == "circular" for m in vae.modules())


@contextlib.contextmanager
def _tiled(vae: Any) -> Iterator[None]:
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.disable_tiling()


@contextlib.contextmanager
def _full_precision(vae: Any) -> Iterator[None]:
    before = vae.dtype
    try:
        vae.to(torch.float32)
        yield
    finally:
        vae.to(before)
