"""Small pictures of a drawing in progress, cheap enough to make several times a second."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from gpu_worker.protocol.messages import PreviewWish

__all__ = ["PreviewMap", "fit_preview_map", "preview_bytes"]

_SAMPLE_PX = 128
_QUALITIES = (80, 60, 40, 20, 5)


@dataclass(frozen=True)
class PreviewMap:
    """An affine map from the latent cell to a colour in 0 to 1."""

    weights: torch.Tensor
    """[channels + 1, 3]; the last row is the constant."""

    def colours(self, latents: torch.Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """[n, h, w, 3] uint8, one pixel a latent cell."""
        cells = latents.float().permute(0, 2, 3, 1)
        rgb = cells @ self.weights[:-1] + self.weights[-1]
        return (rgb.clamp(0, 1) * 255).to(torch.uint8).cpu().numpy()


def fit_preview_map(vae: Any, latent_scale: float) -> PreviewMap:
    """Least squares over the latents of a few smooth colour fields, so it fits any VAE and needs no table.

    The same idea as the fixed coefficients that other programs carry for each model family ("approx cheap").
    """
    device = next(vae.parameters()).device
    dice = torch.Generator().manual_seed(0)
    grid = torch.rand((8, 3, 4, 4), generator=dice)
    fields = torch.nn.functional.interpolate(grid, size=(_SAMPLE_PX, _SAMPLE_PX), mode="bicubic").clamp(0, 1)
    latents = vae.encode((fields * 2 - 1).to(device, vae.dtype)).latent_dist.mode().float() * latent_scale
    colours = torch.nn.functional.adaptive_avg_pool2d(fields.to(device), latents.shape[2:])
    known = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    known = torch.cat([known, torch.ones_like(known[:, :1])], dim=1).cpu()
    wanted = colours.permute(0, 2, 3, 1).reshape(-1, 3).cpu()
    return PreviewMap(torch.linalg.lstsq(known, wanted).solution.to(device))


def preview_bytes(colours: np.ndarray[Any, np.dtype[np.uint8]], wish: PreviewWish) -> bytes | None:
    """A JPEG of all pictures in a grid, its longer side `wish.px`; None where it cannot be made small enough."""
    count, height, width, _ = colours.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for index, cells in enumerate(colours):
        sheet.paste(Image.fromarray(cells), (index % columns * width, index // columns * height))
    scale = wish.px / max(sheet.size)
    size = max(1, round(sheet.width * scale)), max(1, round(sheet.height * scale))
    sheet = sheet.resize(size, Image.Resampling.BICUBIC)
    for quality in _QUALITIES:
        target = io.BytesIO()
        sheet.save(target, "JPEG", quality=quality)
        if target.tell() <= wish.max_kb * 1024:
            return target.getvalue()
    return None
