"""The keys that say how a picture was enlarged tile by tile (behaviours §16), beside those of the drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu_worker.protocol.specs import Ultimate

__all__ = ["ULTIMATE", "ultimate_fields", "without_tiles"]

ULTIMATE = "Ultimate SD upscale"
"""Before each of the script's keys."""


_OF_THE_WHOLE = frozenset({"Size", "Size-1", "Size-2", "Denoising strength", "Init image hash"})


def without_tiles(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a text says of the picture that was enlarged: size and strength are those of the tiles' drawing, which
    cannot be drawn from noise. The same where it says nothing of tiles."""
    if not any(key.startswith(ULTIMATE) for key in fields):
        return fields
    return {key: value for key, value in fields.items() if key not in _OF_THE_WHOLE and not key.startswith(ULTIMATE)}


def ultimate_fields(spec: Ultimate) -> dict[str, Any]:
    """The script's own keys, then those for what it does not write; the size is that of the result."""
    tile = spec.tile_width or spec.tile_height, spec.tile_height or spec.tile_width
    mends = spec.seams != "none"
    return {
        "Size": f"{spec.width}x{spec.height}",
        f"{ULTIMATE} upscaler": spec.upscaler,
        f"{ULTIMATE} tile_width": tile[0],
        f"{ULTIMATE} tile_height": tile[1],
        f"{ULTIMATE} mask_blur": spec.mask_blur,
        f"{ULTIMATE} padding": spec.padding,
        f"{ULTIMATE} type": spec.redraw if spec.redraw != "linear" else None,
        f"{ULTIMATE} seams fix": spec.seams if mends else None,
        f"{ULTIMATE} seams fix denoise": spec.seams_denoise if mends else None,
        f"{ULTIMATE} seams fix width": spec.seams_width if spec.seams == "band pass" else None,
        f"{ULTIMATE} seams fix mask_blur": spec.seams_blur if mends and spec.seams != "band pass" else None,
        f"{ULTIMATE} seams fix padding": spec.seams_padding if mends else None,
    }
