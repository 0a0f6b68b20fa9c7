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
    if stacked.dtype == torch.uint8:
        stacked = stacked.float() / 127.5 - 1

    def encode(part: torch.Tensor) -> torch.Tensor:
        vae = checkpoint.vae
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

    def attempt() -> torch.Tensor:
        if device.tiled_vae != "on":
            try:
                return portions.run(batch, work)
            except (RuntimeError, MemoryError) as error:
                if device.tiled_vae == "off" or not is_out_of_memory(error):
                    raise
            free(device.torch_device)
        with _tiled(checkpoint.vae):
            return portions.run(batch, work)

    result = attempt()
    if checkpoint.vae.dtype == torch.float16 and not bool(torch.isfinite(result).all()):
        with _full_precision(checkpoint.vae):
            result = attempt()
    return result


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
    vae.to(torch.float32)
    try:
        yield
    finally:
        vae.to(before)
