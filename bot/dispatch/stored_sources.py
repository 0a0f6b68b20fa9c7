"""Where a picture lies that a job of the table starts from: one of ours, or one that somebody gave."""

from __future__ import annotations

from pathlib import Path

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.ids import ImageId
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures
from gpu_worker.protocol.specs import ImageRef

__all__ = ["StoredSources"]


class StoredSources:
    def __init__(self, images: Images, inputs: InputPictures) -> None:
        self._images = images
        self._inputs = inputs

    async def file(self, ref: ImageRef) -> Path | None:
        """None where it is gone."""
        if ref.ref.startswith(IMAGE_SCHEME):
            image = await self._images.get(ImageId(ref.ref.removeprefix(IMAGE_SCHEME)))
            return self._images.file(image) if image is not None else None
        try:
            return await self._inputs.file(ref)
        except (MissingPictureError, FileNotFoundError):
            return None
