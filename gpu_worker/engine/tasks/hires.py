"""Hires fix: the size of the second pass and the ways to bring a picture or a latent to it."""

from __future__ import annotations

import torch

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.files import FILTERS
from gpu_worker.protocol.specs import Hires

__all__ = ["HIRES_LIMIT_PX", "UPSCALERS", "check_hires", "hires_size", "is_latent", "upscaled_latents"]

HIRES_LIMIT_PX = 4096
"""Longest side of a second pass."""

_LATENT_MODES: dict[str, tuple[str, bool]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""torch's interpolation mode, and whether it smooths."""

UPSCALERS: tuple[str, ...] = (*FILTERS, *_LATENT_MODES)


def hires_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Target in pixels, cut off and not rounded to eights; the drawn picture is the next lower multiple of eight."""
    return int(width * scale), int(height * scale)


def check_hires(hires: Hires, width: int, height: int) -> None:
    """Raises EngineError `bad_input` for an upscaler or a size that cannot be drawn. Size is that of the first pass."""
    if hires.upscaler not in UPSCALERS:
        raise EngineError("bad_input", f"no upscaler {hires.upscaler}", {"upscaler": hires.upscaler})
    if hires.source is not None and is_latent(hires.upscaler):
        detail = {"upscaler": hires.upscaler, "reason": "latent_source"}
        raise EngineError("bad_input", "a latent upscaler cannot start from a picture", detail)
    target = hires_size(width, height, hires.scale)
    if max(target) > HIRES_LIMIT_PX:
        detail = {"reason": "size", "width": target[0], "height": target[1], "limit_px": HIRES_LIMIT_PX}
        raise EngineError("bad_input", f"second pass of {target}", detail)


def is_latent(upscaler: str) -> bool:
    return upscaler in _LATENT_MODES


def upscaled_latents(latents: torch.Tensor, height: int, width: int, upscaler: str) -> torch.Tensor:
    """`height` and `width` in latent cells."""
    mode, smooth = _LATENT_MODES[upscaler]
    return torch.nn.functional.interpolate(latents, size=(height, width), mode=mode, antialias=smooth)
