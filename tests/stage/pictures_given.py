"""Pictures as people bring them."""

from __future__ import annotations

import io

from PIL import Image, PngImagePlugin

__all__ = ["INFOTEXT", "picture"]

INFOTEXT = (
    "a lighthouse at night\nNegative prompt: fog\n"
    "Steps: 12, Sampler: Euler a, CFG scale: 6.5, Seed: 99, Size: 512x768, Model: dreamy, Version: v1.10.1"
)


def picture(infotext: str | None = None, size: tuple[int, int] = (96, 64), **texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in ({"parameters": infotext} if infotext else {} | texts).items():
        info.add_itxt(key, text)
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, "PNG", pnginfo=info)
    return out.getvalue()
