"""What a recorded request started from, for building it anew."""

from __future__ import annotations

from bot.domain.pictures import GivenPicture
from gpu_worker.protocol.specs import Img2Img, JobSpec

__all__ = ["picture_of"]


def picture_of(spec: JobSpec) -> GivenPicture | None:
    """The picture of an `Img2Img`, taken to have the aspect that was drawn, which the recorded size says anyway."""
    if not isinstance(spec, Img2Img):
        return None
    extend = spec.extend
    width = spec.width - (extend.left + extend.right if extend else 0)
    height = spec.height - (extend.top + extend.bottom if extend else 0)
    return GivenPicture(spec.image, width, height, spec.mask.image if spec.mask else None)
