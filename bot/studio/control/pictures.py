"""The small pictures beside the units of a desk: those that its user may see there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.ids import ImageId
from bot.domain.model_rules import Where
from bot.errors import UserFacingError
from bot.storage.drafts import Draft
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from bot.studio.region_pictures import thumbnail
from gpu_worker.protocol.specs import ImageRef, Img2Img

__all__ = ["UnitPictures"]


class UnitPictures:
    def __init__(self, *, jobs: Jobs, images: Images, inputs: InputPictures, intake: Intake) -> None:
        self._jobs = jobs
        self._images = images
        self._inputs = inputs
        self._intake = intake

    async def small(self, draft: Draft, where: Where, only: int | None = None) -> Mapping[int, bytes]:
        """JPEGs by unit, of all or of one. A picture that is gone or cannot be read is none."""
        found: dict[int, bytes] = {}
        for at, unit in enumerate(draft.spec.control):
            if only not in (None, at):
                continue
            ref = unit.image or (draft.spec.image if isinstance(draft.spec, Img2Img) else None)
            if ref is None or not await self.may_see(draft, ref, where):
                continue
            try:
                found[at] = await asyncio.to_thread(thumbnail, await self._read(ref))
            except (MissingPictureError, UserFacingError):
                continue
        return found

    async def may_see(self, draft: Draft, ref: ImageRef, where: Where) -> bool:
        """Not what somebody else gave to a command, which nobody but them has seen, nor what is veiled here."""
        if ref.ref.startswith(IMAGE_SCHEME):
            return not await self._intake.veiled([ImageId(ref.ref.removeprefix(IMAGE_SCHEME))], where)
        if draft.base is None or draft.parent_id is None or ref not in given_pictures(draft.base):
            return True
        parent = await self._jobs.get(draft.parent_id)
        return parent is not None and parent.user_id == draft.user_id

    async def _read(self, ref: ImageRef) -> bytes:
        if not ref.ref.startswith(IMAGE_SCHEME):
            return await self._inputs.read(ref)
        image = await self._images.get(ImageId(ref.ref.removeprefix(IMAGE_SCHEME)))
        if image is None or image.deleted:
            raise MissingPictureError(ref.ref)
        return await self._images.read(image)
