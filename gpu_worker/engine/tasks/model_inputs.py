"""What the model reads beside a latent of a certain size: control maps (behaviours §17), and the picture and mask of
checkpoints with more than four input channels (§10)."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

import numpy as np
import torch

from gpu_worker.engine.calls import Call, EncodeCall, Floats
from gpu_worker.engine.conditioning.guide import Guide
from gpu_worker.engine.control.colourfix import with_originals
from gpu_worker.engine.control.units import placed_units
from gpu_worker.engine.images.inpaint import PreparedInpaint
from gpu_worker.engine.regional import placed_regions

__all__ = ["conditioned"]


def conditioned(
    guide: Guide, height: int, width: int, canvas: PreparedInpaint | None = None, weight: float = 1.0
) -> Generator[Call, Any, Guide]:
    """The guide with its control maps, its regions and, where the checkpoint needs it, its `concat`, for a latent of
    `height` x `width` cells.

    `weight` 0 shows an inpainting checkpoint the whole canvas, 1 none of what is repainted. Without a canvas all of it
    is repainted, and an instruct-pix2pix checkpoint sees nothing. The same for its refiner.
    """
    if guide.refiner is not None:
        share, refiner = guide.refiner
        refiner = yield from conditioned(refiner, height, width, canvas, weight)
        guide = dataclasses.replace(guide, refiner=(share, refiner))
    if guide.control:
        maps = yield from with_originals(placed_units(guide.control, height, width, canvas), guide.state)
        guide = dataclasses.replace(guide, maps=maps)
    checkpoint = guide.state.checkpoint
    if guide.regions is not None:
        placed = placed_regions(guide.regions, height, width, checkpoint.device.torch_device)
        guide = dataclasses.replace(guide, placed=placed)
    if checkpoint.concat == "inpaint":
        seen, mask = _masked(height * checkpoint.factor, width * checkpoint.factor, canvas, weight)
        latent = yield EncodeCall([seen], guide.state)
        cells = torch.ones_like(latent[:, :1]) if mask is None else torch.from_numpy(mask)[None, None].to(latent)
        # The latent upscale of an img2img encodes the canvas at its own size.
        latent = _sized(latent, height, width)
        return dataclasses.replace(guide, concat=torch.cat([_sized(cells, height, width), latent], dim=1))
    if checkpoint.concat == "pix2pix":
        if canvas is None:
            nothing = torch.zeros(1, checkpoint.latent_channels, height, width, device=checkpoint.device.torch_device)
            return dataclasses.replace(guide, concat=nothing)
        latent = yield EncodeCall([canvas.picture], guide.state)
        # Trained on the mode of the posterior without the latent scale.
        return dataclasses.replace(guide, concat=_sized(latent, height, width) / checkpoint.latent_scale)
    return guide


def _masked(height: int, width: int, canvas: PreparedInpaint | None, weight: float) -> tuple[Floats, Floats | None]:
    """The picture from -1 to 1, mid grey where it is masked; the mask in latent cells, None for all of it."""
    mask = canvas.model_mask() if canvas else None
    if canvas is not None and mask is not None:
        return canvas.hidden(weight) / np.float32(127.5) - 1, mask
    if canvas is None or weight == 1:
        return np.zeros((height, width, 3), np.float32), None
    seen: Floats = (canvas.picture.astype(np.float32) / 127.5 - 1) * np.float32(1 - weight)
    return seen, None


def _sized(planes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if planes.shape[-2:] == (height, width):
        return planes
    return torch.nn.functional.interpolate(planes, size=(height, width), mode="nearest")
