"""A1111's Extras: a finished picture enlarged, then its faces restored (behaviours §20)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.geometry import placed, resample
from gpu_worker.engine.upscale.upscalers import Upscalers
from gpu_worker.protocol.specs import FaceRestore, Upscale

__all__ = ["RESULT_MAX_PX", "FaceRestoring", "extras_size", "run_extras"]

RESULT_MAX_PX = 8192
"""Longest side of a result."""


class FaceRestoring(Protocol):
    def restore(self, pictures: Sequence[Picture], wish: FaceRestore, check: Callable[[], None]) -> list[Picture]: ...


def run_extras(
    picture: Picture,
    spec: Upscale,
    upscalers: Upscalers,
    faces: FaceRestoring,
    *,
    check: Callable[[], None],
    report: Callable[[int, int], None],
) -> Picture:
    """In A1111's order: upscalers, GFPGAN, CodeFormer.

    `check` may raise, between tiles and faces too; `report` hears progress of the upscalers, done and of.
    Raises EngineError `bad_input` for too large a result, and what upscalers and faces raise.
    """
    if spec.upscaler != "None":
        picture = _enlarged(picture, spec, upscalers, check, report)
    for wish in (
        FaceRestore(model="GFPGAN", visibility=spec.gfpgan_visibility),
        FaceRestore(model="CodeFormer", visibility=spec.codeformer_visibility, weight=spec.codeformer_weight),
    ):
        if wish.visibility > 0:
            (picture,) = faces.restore([picture], wish, check)
    return picture


def extras_size(width: int, height: int, spec: Upscale) -> tuple[int, int]:
    """The size of the result for a picture of this size. Raises EngineError `bad_input` where that is too large."""
    if spec.upscaler == "None":
        return width, height
    scale = _scale(width, height, spec)
    size = int(width * scale) // 8 * 8, int(height * scale) // 8 * 8
    if _wants_size(spec):
        covering = max(size[0], spec.width), max(size[1], spec.height)
        size = (spec.width, spec.height) if spec.crop else covering
    longest = max(*size, int(max(width, height) * scale))
    if longest > RESULT_MAX_PX or min(size) < 1:
        detail = {"reason": "size", "width": size[0], "height": size[1], "limit_px": RESULT_MAX_PX}
        raise EngineError("bad_input", f"{width}x{height} enlarged to {size}", detail)
    return size


def _enlarged(
    picture: Picture,
    spec: Upscale,
    upscalers: Upscalers,
    check: Callable[[], None],
    report: Callable[[int, int], None],
) -> Picture:
    height, width = picture.shape[:2]
    scale = _scale(width, height, spec)
    extras_size(width, height, spec)
    twice = spec.upscaler_2 != "None" and spec.visibility_2 > 0
    parts = 200 if twice else 100
    first = upscalers.scaled(picture, scale, spec.upscaler, check=check, report=lambda done, of: report(done, parts))
    if twice:
        second = upscalers.scaled(
            picture, scale, spec.upscaler_2, check=check, report=lambda done, of: report(100 + done, parts)
        )
        first = np.asarray(Image.blend(Image.fromarray(first), Image.fromarray(second), spec.visibility_2))
    report(parts, parts)
    if not _wants_size(spec):
        return first
    # A multiple of eight may fall a few pixels short; A1111 leaves them black.
    covering = resample(first, max(first.shape[1], spec.width), max(first.shape[0], spec.height))
    return placed(covering, spec.width, spec.height) if spec.crop else covering


def _wants_size(spec: Upscale) -> bool:
    return bool(spec.width and spec.height)


def _scale(width: int, height: int, spec: Upscale) -> float:
    return max(spec.width / width, spec.height / height) if _wants_size(spec) else spec.scale
