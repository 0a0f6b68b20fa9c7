"""Pictures that may be shown only veiled where their card goes, or not at all."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.ids import ImageId
from bot.domain.job import Image, Job
from bot.domain.safety.rules import Shown
from bot.i18n import Texts
from gpu_worker.protocol.specs import Drawing

__all__ = ["Veiled", "Veils", "blurred", "veiled"]

CELLS = 20
"""A blurred picture has so many cells along its longer side, smoothed: colours and shapes, nothing that shows."""


class Veils(Protocol):
    async def of_job(self, job: Job, images: Sequence[Image]) -> Mapping[ImageId, Shown]:
        """How each may be shown where the job's card goes, now."""
        ...

    async def nude(self, images: Sequence[Image]) -> bool:
        """Whether any of them was found nude, so that none may go by direct message."""
        ...


@dataclass(frozen=True, slots=True)
class Veiled:
    """What is left to be shown, as it may be shown."""

    images: list[Image]
    data: list[bytes]
    spoilers: frozenset[ImageId] = frozenset()
    nude: bool = False
    withheld: int = 0
    """Pictures that were drawn and are not here: never kept, or not for this place."""

    def note(self, texts: Texts) -> list[str]:
        return [texts("card.withheld", n=self.withheld)] if self.withheld else []


async def veiled(veils: Veils | None, job: Job, images: list[Image], data: list[bytes]) -> Veiled:
    if veils is None:
        return Veiled(images, data)
    shown = await veils.of_job(job, images)
    kept = [(image, each) for image, each in zip(images, data, strict=True) if shown[image.id] is not Shown.BLOCK]
    made = [await asyncio.to_thread(blurred, each) if shown[image.id] is Shown.BLUR else each for image, each in kept]
    # Indices tell which of a job's pictures were never kept; those that were deleted have no data either.
    drawn = job.task.count if isinstance(job.task, Drawing) else 1
    return Veiled(
        [image for image, _ in kept],
        made,
        frozenset(image.id for image, _ in kept if shown[image.id] is Shown.SPOILER),
        await veils.nude(images),
        max(0, drawn - len(kept)) if images else 0,
    )


def blurred(data: bytes) -> bytes:
    """A PNG of the same size without anything of the picture's details, or of its parameters."""
    from PIL import Image as Pictures

    with Pictures.open(io.BytesIO(data)) as picture:
        whole = picture.convert("RGB")
    scale = CELLS / max(whole.size)
    small = whole.resize(
        (max(1, round(whole.width * scale)), max(1, round(whole.height * scale))), Pictures.Resampling.BOX
    )
    target = io.BytesIO()
    small.resize(whole.size, Pictures.Resampling.BICUBIC).save(target, "PNG")
    return target.getvalue()
