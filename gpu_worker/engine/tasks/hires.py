"""Hires fix: which ways lead to the second pass's size (behaviours §8)."""

from __future__ import annotations

from collections.abc import Container

import torch

from gpu_worker.engine.errors import EngineError
from gpu_worker.language.passes import hires_target
from gpu_worker.protocol.specs import OUTPUT_MAX_PX, Hires

__all__ = ["LATENT_UPSCALERS", "check_hires", "is_latent", "upscaled_latents"]

_LATENT_MODES: dict[str, tuple[str, bool]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""torch's interpolation mode, and whether it smooths."""

LATENT_UPSCALERS: tuple[str, ...] = tuple(_LATENT_MODES)


def check_hires(hires: Hires, width: int, height: int, upscalers: Container[str]) -> None:
    """Raises EngineError `bad_input` for an upscaler or a size that cannot be drawn. Size is that of the first pass."""
    if not is_latent(hires.upscaler) and hires.upscaler not in upscalers:
        raise EngineError("bad_input", f"no upscaler {hires.upscaler}", {"upscaler": hires.upscaler})
    if hires.source is not None and is_latent(hires.upscaler):
        detail = {"upscaler": hires.upscaler, "reason": "latent_source"}
        raise EngineError("bad_input", "a latent upscaler cannot start from a picture", detail)
    if hires.tile_px and is_latent(hires.upscaler):
        raise EngineError("bad_input", "a latent upscaler in tiles", {"upscaler": hires.upscaler})
    target = hires_target(width, height, hires.scale, hires.resize_width, hires.resize_height)
    sides = (*target.upscale_to, *target.final)
    if max(sides) > OUTPUT_MAX_PX:
        detail = {"reason": "size", "width": max(sides[::2]), "height": max(sides[1::2]), "limit_px": OUTPUT_MAX_PX}
        raise EngineError("bad_input", f"second pass of {target}", detail)
    if min(target.final) < 1:
        detail = {"reason": "size_small", "width": target.final[0], "height": target.final[1]}
        raise EngineError("bad_input", f"second pass of {target}", detail)


def is_latent(upscaler: str) -> bool:
    return upscaler in _LATENT_MODES


def upscaled_latents(latents: torch.Tensor, height: int, width: int, upscaler: str) -> torch.Tensor:
    """`height` and `width` in latent cells."""
    mode, smooth = _LATENT_MODES[upscaler]
    return torch.nn.functional.interpolate(latents, size=(height, width), mode=mode, antialias=smooth)
