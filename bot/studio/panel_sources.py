"""The picture that a draft starts from, and its mask: kept, taken away, or uploaded in a form."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

import discord

from bot.domain.last_time import HIRES_FIELDS, MASK_FIELDS, PICTURE_FIELDS
from bot.domain.pictures import GivenPicture
from bot.errors import UserFacingError
from bot.studio.advanced_fields import KEEP, NO_MASK, NO_PICTURE
from bot.studio.attachments import Attachments
from bot.studio.sources import picture_of
from gpu_worker.protocol.specs import Img2Img, JobSpec

__all__ = ["dropped_with", "source_after"]


@contextlib.asynccontextmanager
async def source_after(
    spec: JobSpec, keep: str, uploads: Mapping[str, discord.Attachment], attachments: Attachments
) -> AsyncGenerator[GivenPicture | None]:
    """Uploads are kept durably, and go again where the body raises. Raises UserFacingError: `tweak_mask_alone`,
    `tweak_source_gone`, those of `Attachments.taken`."""
    now = picture_of(spec)
    if now is not None and keep != KEEP:
        now = replace(now, mask=None) if keep == NO_MASK else None
    image, mask = uploads.get("image"), uploads.get("mask")
    if image is not None:
        async with attachments.taken(image, mask) as picture:
            yield picture
    elif mask is not None:
        if now is None or keep == NO_PICTURE:
            raise UserFacingError("tweak_mask_alone")
        async with attachments.taken_mask(mask, now.image) as ref:
            yield replace(now, mask=ref)
    else:
        yield now


def dropped_with(spec: JobSpec, picture: GivenPicture | None) -> tuple[str, ...]:
    """Fields of `Parameters` that mean nothing any more once `spec` starts from `picture`."""
    had = picture_of(spec)
    if picture is None:
        return (*PICTURE_FIELDS, "denoising_strength") if isinstance(spec, Img2Img) else ()
    found = set[str]()
    if had is None:
        found |= {*HIRES_FIELDS, "denoising_strength", "width", "height"}
    elif had.image != picture.image:
        found |= {"width", "height", "extend"}  # its own shape
    if picture.mask is None:
        found |= {*MASK_FIELDS}
    return tuple(found)
