"""Small pictures of a drawing in progress, cheap enough to make several times a second."""

from __future__ import annotations

import io
import math
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from gpu_worker.protocol.messages import PreviewWish

__all__ = ["PreviewMap", "preview_bytes"]

_QUALITIES = (80, 60, 40, 20, 5)
_LESSON_CELLS = 4096
_FORGET = 0.5
_RIDGE = 1e-3

Colours: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


class PreviewMap:
    """Estimates a colour for each latent cell without running the decoder, and learns from every finished picture.

    A quadratic polynomial of the cell's channels, fitted by least squares. Other programs carry a table of linear
    coefficients for each model family ("approx cheap"); learning fits any VAE and needs no table.
    """

    def __init__(self, channels: int) -> None:
        features = _features(torch.zeros(1, channels)).shape[1]
        self._square = torch.zeros(features, features)
        self._product = torch.zeros(features, 3)
        self._solution: torch.Tensor | None = None

    @property
    def empty(self) -> bool:
        return not bool(self._square.any())

    def learn(self, latents: torch.Tensor, decoded: torch.Tensor) -> None:
        """`decoded` is what the VAE made of `latents`, [n, 3, h, w] in -1 to 1; older lessons fade."""
        colours = torch.nn.functional.adaptive_avg_pool2d(
            (decoded.float() + 1) / 2, (latents.shape[2], latents.shape[3])
        )
        x = _features(_cells(latents)[:_LESSON_CELLS].cpu())
        y = _cells(colours)[:_LESSON_CELLS].cpu()
        if not bool(x.isfinite().all() and y.isfinite().all()):
            return  # numbers that ran away would stay in every later preview
        self._square = self._square * _FORGET + x.T @ x / len(x)
        self._product = self._product * _FORGET + x.T @ y / len(x)
        self._solution = None

    def colours(self, latents: torch.Tensor) -> Colours:
        """[n, h, w, 3] uint8, one pixel a latent cell."""
        solution = self._solution
        if solution is None:
            ridge = _RIDGE * torch.eye(len(self._square))
            self._solution = solution = torch.linalg.solve(self._square + ridge, self._product)
        count, _, height, width = latents.shape
        rgb = _features(_cells(latents).cpu()) @ solution
        return (rgb.clamp(0, 1) * 255).to(torch.uint8).reshape(count, height, width, 3).numpy()


def _cells(planes: torch.Tensor) -> torch.Tensor:
    """[cells, channels] float32."""
    return planes.float().permute(0, 2, 3, 1).reshape(-1, planes.shape[1])


def _features(cells: torch.Tensor) -> torch.Tensor:
    """The channels, their products in pairs, and 1."""
    pairs = torch.triu_indices(cells.shape[1], cells.shape[1])
    return torch.cat([cells, cells[:, pairs[0]] * cells[:, pairs[1]], torch.ones_like(cells[:, :1])], dim=1)


def preview_bytes(colours: Colours, wish: PreviewWish) -> bytes | None:
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
