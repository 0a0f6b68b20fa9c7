"""Turns a stored spec into what the worker gets: source pictures by address, or the recipe to draw them again."""

from __future__ import annotations

import logging

from bot.dispatch.transport import BotTransport
from bot.domain.actions import picture_spec
from bot.domain.ids import ImageId
from bot.domain.job import Job
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from gpu_worker.protocol.specs import JobSpec, RenderedSource, Source, StoredSource

__all__ = ["SpecResolver"]

log = logging.getLogger(__name__)

IMAGE_SCHEME = "image:"
"""In the table a source is `image:<id>`; the transport's own address is made when the job is handed out."""


class SpecResolver:
    def __init__(self, *, jobs: Jobs, images: Images, transport: BotTransport) -> None:
        self._jobs = jobs
        self._images = images
        self._transport = transport

    async def resolve(self, job: Job) -> JobSpec:
        """Raises OSError where the transport cannot take a source now, LookupError where there is none."""
        return await self._resolve(job.spec)

    async def _resolve(self, spec: JobSpec) -> JobSpec:
        if spec.hires is None or not isinstance(spec.hires.source, StoredSource):
            return spec
        source = await self._source(spec.hires.source)
        return spec.model_copy(update={"hires": spec.hires.model_copy(update={"source": source})})

    async def _source(self, stored: StoredSource) -> Source:
        image_id = ImageId(stored.image.ref.removeprefix(IMAGE_SCHEME))
        image = await self._images.get(image_id)
        if image is None:
            raise LookupError(f"picture {image_id} was never stored")
        try:
            ref = await self._transport.put_input(await self._images.read(image), image.mime)
            return StoredSource(image=ref)
        except MissingPictureError:
            maker = await self._jobs.get(image.job_id)
            if maker is None:
                raise LookupError(f"picture {image_id} has no job") from None
            log.info("picture %s is gone; it is drawn again from its recorded seed", image.id)
            return RenderedSource(spec=await self._resolve(picture_spec(maker.spec, image.index)))
