"""The small pictures beside the units of a desk: those that its user may see there."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import Mapping

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.ids import ImageId
from bot.storage.drafts import Draft
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.jobs import Jobs
from bot.studio.looking.sight import GOES_ON, Sight
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import ImageRef, Img2Img

__all__ = ["UnitPictures"]

SMALL_PX = 320
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class UnitPictures:
    def __init__(self, *, jobs: Jobs, images: Images, inputs: InputPictures, sight: Sight) -> None:
        self._jobs = jobs
        self._images = images
        self._inputs = inputs
        self._sight = sight

    async def small(self, interaction: Interaction, draft: Draft, only: int | None = None) -> Mapping[int, bytes]:
        """JPEGs by unit, of all or of one. A picture that is gone or cannot be read is none."""
        found: dict[int, bytes] = {}
        for at, unit in enumerate(draft.spec.control):
            if only not in (None, at):
                continue
            ref = unit.image or (draft.spec.image if isinstance(draft.spec, Img2Img) else None)
            if ref is None or not await self.may_see(interaction, draft, ref):
                continue
            try:
                data = await self._read(ref)
            except MissingPictureError:
                continue
            small = await asyncio.to_thread(_small, data)
            if small is not None:
                found[at] = small
        return found

    async def may_see(self, interaction: Interaction, draft: Draft, ref: ImageRef) -> bool:
        """Not what somebody else gave to a command, which nobody but them has seen, nor what is veiled here."""
        if ref.ref.startswith(IMAGE_SCHEME):
            return await self._sight.may_see(interaction, ref, None)
        if draft.base is not None and ref not in given_pictures(draft.base):
            return True  # it was given in this very draft
        if draft.parent_id is None:
            return draft.action not in GOES_ON
        return await self._sight.may_see(interaction, ref, await self._jobs.get(draft.parent_id))

    async def _read(self, ref: ImageRef) -> bytes:
        if not ref.ref.startswith(IMAGE_SCHEME):
            return await self._inputs.read(ref)
        image = await self._images.get(ImageId(ref.ref.removeprefix(IMAGE_SCHEME)))
        if image is None or image.deleted:
            raise MissingPictureError(ref.ref)
        return await self._images.read(image)


def _small(data: bytes) -> bytes | None:
    """A JPEG, upright as the worker sees it. CPU-bound. None for what somebody gave and Pillow cannot read to its end,
    of which only the header was looked at when it was taken: the drawing will say so, and the desk must open."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as found:
                picture = ImageOps.exif_transpose(found).convert("RGB")
        picture.thumbnail((SMALL_PX, SMALL_PX), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=85)
    except Exception:  # whatever Pillow makes of foreign bytes
        return None
    return out.getvalue()
