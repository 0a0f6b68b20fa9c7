"""Turns a stored spec into what the worker gets: pictures by address, or the recipe to draw them again."""

from __future__ import annotations

import logging
from typing import TypeVar

from bot.dispatch.transport import BotTransport
from bot.domain.actions import picture_spec
from bot.domain.ids import ImageId
from bot.domain.job import Job
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from gpu_worker.protocol.specs import (
    Caption,
    CaptionPicture,
    ControlUnit,
    Describe,
    FileSpec,
    ImageRef,
    Img2Img,
    JobSpec,
    PictureTask,
    Preprocess,
    RenderedSource,
    Sheet,
    Source,
    StoredSource,
    Train,
    TrainDataset,
    TrainImage,
    TrainSubset,
    Txt2Img,
    Ultimate,
    Upscale,
)

__all__ = ["SourceGoneError", "SpecResolver"]

log = logging.getLogger(__name__)

IMAGE_SCHEME = "image:"
"""In the table a source is `image:<id>`; the transport's own address is made when the job is handed out."""


Drawn = TypeVar("Drawn", Txt2Img, Img2Img)


class SourceGoneError(LookupError):
    """A picture that a job starts from is nowhere any more, and nothing tells how to draw it again."""


class SpecResolver:
    def __init__(self, *, jobs: Jobs, images: Images, inputs: InputPictures, transport: BotTransport) -> None:
        self._jobs = jobs
        self._images = images
        self._inputs = inputs
        self._transport = transport

    async def resolve(self, job: Job) -> JobSpec | FileSpec | PictureTask | Sheet | Train:
        """Raises OSError where the transport cannot take a source now, SourceGoneError where there is none."""
        if job.files is not None:
            return job.files
        if isinstance(job.task, Preprocess):
            return await self._mapped(job.task)
        if isinstance(job.task, Upscale | Describe):
            return job.task.model_copy(update={"image": await self._given(job.task.image)})
        if isinstance(job.task, Caption):
            pictures = tuple([await self._captioned(one) for one in job.task.pictures])
            return job.task.model_copy(update={"pictures": pictures})
        if isinstance(job.task, Train):
            return await self._taught(job.task)
        if isinstance(job.task, Ultimate):
            drawing = await self._from_picture(await self._read_pictures(job.task.drawing))
            return job.task.model_copy(update={"drawing": drawing})
        if isinstance(job.task, Sheet):
            cells = tuple([await self._drawing(cell) for cell in job.task.cells])
            return job.task.model_copy(update={"cells": cells})
        return await self._drawing(job.spec)

    async def _drawing(self, spec: JobSpec) -> JobSpec:
        if isinstance(spec, Img2Img):
            return await self._from_picture(await self._read_pictures(spec))
        return await self._second_pass(spec)

    async def _read_pictures(self, spec: Drawn) -> Drawn:
        """With the pictures that are read as prompts, and those that control units follow."""
        if spec.control:
            spec = spec.model_copy(update={"control": tuple([await self._unit(unit) for unit in spec.control])})
        wish = spec.image_prompts
        if wish is None:
            return spec
        pictures = [p.model_copy(update={"image": await self._given(p.image)}) for p in wish.pictures]
        return spec.model_copy(update={"image_prompts": wish.model_copy(update={"pictures": tuple(pictures)})})

    async def _unit(self, unit: ControlUnit) -> ControlUnit:
        image = await self._given(unit.image) if unit.image is not None else None
        mask = await self._given(unit.mask) if unit.mask is not None else None
        return unit.model_copy(update={"image": image, "mask": mask})

    async def _captioned(self, one: CaptionPicture) -> CaptionPicture:
        """One that is gone goes out as it is, and comes back without a caption; the others get theirs."""
        try:
            return one.model_copy(update={"image": await self._file(one.image)})
        except SourceGoneError:
            return one

    async def _taught(self, spec: Train) -> Train:
        """All pictures of it, as files: they are too many to be read one after the other. Raises SourceGoneError."""

        async def picture(one: TrainImage) -> TrainImage:
            return one.model_copy(update={"image": await self._file(one.image)})

        async def subset(one: TrainSubset) -> TrainSubset:
            return one.model_copy(update={"images": tuple([await picture(image) for image in one.images])})

        async def dataset(one: TrainDataset) -> TrainDataset:
            return one.model_copy(update={"subsets": tuple([await subset(each) for each in one.subsets])})

        return spec.model_copy(update={"datasets": tuple([await dataset(each) for each in spec.datasets])})

    async def _mapped(self, spec: Preprocess) -> Preprocess:
        mask = await self._given(spec.mask) if spec.mask is not None else None
        others = tuple([await self._mapped(other) for other in spec.others])
        return spec.model_copy(update={"image": await self._given(spec.image), "mask": mask, "others": others})

    async def _from_picture(self, spec: Img2Img) -> Img2Img:
        changes: dict[str, object] = {"image": await self._given(spec.image)}
        if spec.mask is not None:
            changes["mask"] = spec.mask.model_copy(update={"image": await self._given(spec.mask.image)})
        return spec.model_copy(update=changes)

    async def _file(self, ref: ImageRef) -> ImageRef:
        """A picture that somebody gave, never in memory. Raises SourceGoneError."""
        try:
            return await self._transport.put_file(await self._inputs.file(ref), ref.sha256, ref.mime)
        except (MissingPictureError, FileNotFoundError) as error:
            raise SourceGoneError(ref.ref) from error

    async def _given(self, ref: ImageRef) -> ImageRef:
        """A picture that somebody gave, or one of ours."""
        try:
            if ref.ref.startswith(IMAGE_SCHEME):
                image = await self._images.get(ImageId(ref.ref.removeprefix(IMAGE_SCHEME)))
                if image is None:
                    raise MissingPictureError(ref.ref)
                return await self._transport.put_input(await self._images.read(image), image.mime)
            return await self._transport.put_input(await self._inputs.read(ref), ref.mime)
        except MissingPictureError as error:
            raise SourceGoneError(ref.ref) from error

    async def _second_pass(self, spec: Txt2Img) -> Txt2Img:
        spec = await self._read_pictures(spec)
        if spec.hires is None or not isinstance(spec.hires.source, StoredSource):
            return spec
        source = await self._source(spec.hires.source)
        return spec.model_copy(update={"hires": spec.hires.model_copy(update={"source": source})})

    async def _source(self, stored: StoredSource) -> Source:
        if not stored.image.ref.startswith(IMAGE_SCHEME):
            return StoredSource(image=await self._given(stored.image))
        image_id = ImageId(stored.image.ref.removeprefix(IMAGE_SCHEME))
        image = await self._images.get(image_id)
        if image is None:
            raise SourceGoneError(f"picture {image_id} was never stored")
        try:
            ref = await self._transport.put_input(await self._images.read(image), image.mime)
            return StoredSource(image=ref)
        except MissingPictureError:
            maker = await self._jobs.get(image.job_id)
            if maker is None or not isinstance(maker.task, Txt2Img):
                # What was made of a given picture is no recipe that a second pass could begin with.
                raise SourceGoneError(f"picture {image_id} cannot be drawn again") from None
            log.info("picture %s is gone; it is drawn again from its recorded seed", image.id)
            return RenderedSource(spec=await self._second_pass(picture_spec(maker.task, image.index)))
