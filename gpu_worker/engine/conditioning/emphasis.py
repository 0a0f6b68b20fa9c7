"""What `(more:1.3)` does to the encoded tokens (behaviours §3.3)."""

from __future__ import annotations

import torch

from gpu_worker.engine.conditioning.chunks import Emphasis

__all__ = ["apply_emphasis"]


def apply_emphasis(encoded: torch.Tensor, weights: torch.Tensor, mode: Emphasis = "Original") -> torch.Tensor:
    """Each token times its weight; in mode Original the whole is then scaled back to its mean before.

    `encoded` is [texts, 77, width]: one chunk position of every text that is encoded together, because A1111 takes the
    mean over all of them. `weights` is [texts, 77]. Where weights make the new mean vanish no scaling is possible, and
    none is done.
    """
    if mode in ("Ignore", "None"):
        return encoded
    weighted = encoded * weights.unsqueeze(-1)
    if mode == "No norm":
        return weighted
    scale = encoded.mean() / weighted.mean()
    return weighted * scale if bool(torch.isfinite(scale)) else weighted
