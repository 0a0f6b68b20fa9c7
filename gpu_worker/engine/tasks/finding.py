"""A mask for what somebody names: where the checkpoint's own answer to that word differs from its answer to none.

After DiffEdit (Couairon et al., "DiffEdit: Diffusion-based Semantic Image Editing with Mask Guidance", 2022): noise is
put on the picture, the model estimates it with the words and without, and the difference, over several noises, is large
where the words have something to say. It needs no model but the one that draws, and it cannot tell that something is
not there: then it marks where the model would put it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

import cv2
import numpy as np
import torch

from gpu_worker.engine.calls import Call, EncodeCall, Floats, GuidedCall, ModelCall, Picture, Prediction, Task
from gpu_worker.engine.conditioning.guide import Guide
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.masks import Mask8

__all__ = ["found_mask", "marked"]

SHARES = (0.65, 0.75, 0.85)
"""Noise levels, as shares of the trained ones: low ones see edges, high ones whole things and grounds."""
NOISES = 6
SEED = 0
"""The same picture and words give the same mask."""
QUANTILES = (0.02, 0.98)
CLOSED_SHARE = 1 / 32
"""Gaps of this share of the shorter side are closed; a thing's outline answers louder than its inside."""
HOLE_SHARE = 0.04
"""Holes of less than this share of the picture are filled."""
SPECK_SHARE = 0.1
"""Islands smaller than this share of the largest go."""
GROWN_CELLS = 1
"""How far the mask reaches beyond what was found."""


def found_mask(picture: Picture, guide: Guide) -> Task[Mask8]:
    """The mask for `picture`, of its size, 255 where it shows what the guide's text names. The guide's negative text
    is empty. Raises EngineError `bad_input` (`nothing_found`)."""
    heat = yield from _heat(picture, dataclasses.replace(guide, scale=1.0, refiner=None))
    cells = marked(heat)
    if not cells.any():
        raise EngineError("bad_input", "the words mark nothing in the picture", {"reason": "nothing_found"})
    size = (picture.shape[1], picture.shape[0])
    soft = cv2.resize(cells.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.where(soft > 0.5, 255, 0).astype(np.uint8)


def _heat(picture: Picture, guide: Guide) -> Generator[Call, Any, Floats]:
    init: torch.Tensor = yield EncodeCall([picture], guide.state)
    random = torch.Generator().manual_seed(SEED)
    trained = guide.table.sigmas
    total = torch.zeros(init.shape[2:])
    for number, share in enumerate(SHARES):
        sigma = float(trained[min(len(trained) - 1, int(len(trained) * share))])
        noise = torch.randn((NOISES, *init.shape[1:]), generator=random).to(init)
        asked = ModelCall(init + sigma * noise, sigma, number, len(SHARES), wants_uncond=True)
        seen: Prediction = yield GuidedCall(asked, guide, number)
        assert seen.uncond is not None, "asked for"
        total += ((seen.denoised - seen.uncond) / sigma).abs().mean(dim=(0, 1)).float().cpu()
    return total.numpy().astype(np.float32)


def marked(heat: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which latent cells belong to what was looked for."""
    low, high = np.quantile(heat, QUANTILES)
    if not np.isfinite(heat).all() or high - low < 1e-6:
        return np.zeros(heat.shape, np.bool_)
    levels = (255 * ((heat - low) / (high - low)).clip(0, 1)).astype(np.uint8)
    levels = cv2.GaussianBlur(levels, (0, 0), 0.7)
    _, cells = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    cells = cv2.morphologyEx(cells, cv2.MORPH_CLOSE, _disc(max(1, round(min(heat.shape) * CLOSED_SHARE))))
    cells = 255 - _without_small(255 - cells, HOLE_SHARE * cells.size)
    areas = cv2.connectedComponentsWithStats(cells)[2][1:, cv2.CC_STAT_AREA]
    if len(areas):
        cells = _without_small(cells, SPECK_SHARE * float(areas.max()))
    return np.asarray(cv2.dilate(cells, _disc(GROWN_CELLS)) > 0)


def _disc(radius: int) -> np.ndarray[Any, Any]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))


def _without_small(cells: np.ndarray[Any, Any], least: float) -> np.ndarray[Any, Any]:
    """Without the connected parts of fewer cells."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cells)
    kept = [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= least]
    return np.where(np.isin(labels, kept), 255, 0).astype(np.uint8)
