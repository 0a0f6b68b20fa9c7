"""What happens to decoded pictures before they are saved."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from gpu_worker.engine.calls import Call, Picture, RestoreCall
from gpu_worker.engine.images.masks import Mask8
from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.engine.tasks.plan import DrawPlan

__all__ = ["finished"]


def finished(
    plan: DrawPlan, pictures: list[Picture], seeds: tuple[ImageSeed, ...], seen: Mask8 | None = None
) -> Generator[Call, Any, list[Picture]]:
    """Faces restored, then details fixed; before colour correction and overlay, as in A1111 (behaviours §21).

    `seen` is what of the pictures will show, 0 where nothing does.
    """
    # Here, because details are drawn by img2img, which ends here, too.
    from gpu_worker.engine.tasks.details import detailed

    wish = plan.spec.face_restore
    if wish is not None and wish.visibility > 0:
        pictures = yield RestoreCall(pictures, wish)
    return (yield from detailed(pictures, plan.details, seeds, seen))
