"""The keys that say how a picture was enlarged tile by tile (behaviours §16), beside those of the drawing."""

from __future__ import annotations

from typing import Any

from gpu_worker.protocol.specs import Ultimate

__all__ = ["ULTIMATE", "ultimate_fields"]

ULTIMATE = "Ultimate SD upscale"
"""Before each of the script's keys."""


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
