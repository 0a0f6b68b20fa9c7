"""What `(more:1.3)` does to the encoded tokens (behaviours §3.3)."""

from __future__ import annotations

import torch

from gpu_worker.engine.conditioning.chunks import Emphasis

__all__ = ["apply_emphasis"]


def apply_emphasis(
    encoded: torch.Tensor, weights: torch.Tensor, mode: Emphasis = "Original", counts: torch.Tensor | None = None
) -> torch.Tensor:
    """Each token times its weight; in mode Original the whole is then scaled back to its mean before.

    `encoded` is [texts, 77, width]: one chunk position of every text that is encoded together, because A1111 takes the
    mean over all of them. `weights` is [texts, 77]; `counts` [texts] says how often a text stands there, once by
    default. Where weights make the new mean vanish no scaling is possible, and
    none is done.
    """
    if mode in ("Ignore", "None"):
        return encoded
    weighted = encoded * weights.unsqueeze(-1)
    if mode == "No norm":
        return weighted
    shares = torch.ones(len(encoded), device=encoded.device) if counts is None else counts.to(encoded)
    scale = (encoded.mean(dim=(1, 2)) * shares).sum() / (weighted.mean(dim=(1, 2)) * shares).sum()
    return weighted * scale if bool(torch.isfinite(scale)) else weighted
