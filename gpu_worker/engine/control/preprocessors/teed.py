"""TEED, a tiny network for edges, and Anyline, which is the same network trained otherwise with strong lines added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker, as_tensor, as_uint8, grey
from gpu_worker.engine.control.preprocessors.networks import aux, loaded
from gpu_worker.engine.control.preprocessors.plain import standard_lines

__all__ = ["TEED"]

_SPECKS_PX = 36


def _load(path: Path, name: str) -> torch.nn.Module:
    return loaded(path, name, lambda: aux("teed.ted").TED())


def _edges(look: Look) -> Picture:
    network = look.annotators.borrow(look.file, _load)
    found = look.annotators.looked(
        lambda device: [edge[0, 0].float().cpu().numpy() for edge in network(as_tensor(look.seen, device))], network
    )
    height, width = look.seen.shape[:2]
    mean: Any = np.mean([cv2.resize(e, (width, height), interpolation=cv2.INTER_LINEAR) for e in found], axis=0)
    with np.errstate(over="ignore"):
        edge = 1 / (1 + np.exp(-mean.astype(np.float64)))
    steps = int(look.a)
    if steps:
        edge = (edge * (steps + 1)).astype(np.int32).astype(np.float32) / np.float32(steps)
    return as_uint8(edge * 255.0)


def _anyline(look: Look) -> Picture:
    """Of the lines that are added, A1111 keeps the faintest alone, and so do we: its results are what people know."""
    from skimage.morphology import remove_small_objects

    edges, lines = _edges(look), standard_lines(look.seen) == 1
    kept = remove_small_objects(lines, max_size=_SPECKS_PX - 1, connectivity=1)
    return grey(np.where(kept, 1, edges).astype(np.uint8))


TEED: dict[str, Maker] = {"softedge_teed": lambda look: grey(_edges(look)), "softedge_anyline": _anyline}
