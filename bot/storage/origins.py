"""Which job drew a picture from noise, however often it was enlarged since; and what a job was made from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Action, Job
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from gpu_worker.language.pictures import picture_spec
from gpu_worker.protocol.specs import Drawing

__all__ = ["ENLARGED", "Parent", "as_drawn", "origin_of", "parent_of"]

ENLARGED = frozenset({Action.UPSCALE, Action.UPSCALE_SUBTLE, Action.ULTIMATE})
"""Actions whose pictures go on as what they were enlarged from."""


@dataclass(frozen=True, slots=True)
class Parent:
    """`url` leads to its message; None where nobody but its user can see that, or it is gone."""

    owner_id: UserId
    url: str | None


async def origin_of(jobs: Jobs, images: Images, job: Job, index: int) -> tuple[Job, int]:
    """The job behind picture `index` of `job` that was drawn from noise, and which of its pictures it is; the job
    itself where it enlarged nothing."""
    while job.action in ENLARGED and job.source_image_id is not None:
        source = await images.get(job.source_image_id)
        maker = await jobs.get(source.job_id) if source is not None else None
        if source is None or maker is None:
            break
        job, index = maker, source.index
    return job, index


async def as_drawn(jobs: Jobs, images: Images, job: Job) -> Job:
    """The same job with the request behind its picture as its task, where an upscaler alone made a drawn picture
    larger: its card is that of what can be seen on it."""
    if job.action not in (Action.UPSCALE_SUBTLE, Action.ULTIMATE) or isinstance(job.task, Drawing):
        return job
    origin, index = await origin_of(jobs, images, job, 0)
    return replace(job, task=picture_spec(origin.spec, index)) if isinstance(origin.task, Drawing) else job


async def parent_of(jobs: Jobs, images: Images, job: Job) -> Parent | None:
    """What the job began with: the picture, else the job that was drawn again."""
    if job.action is Action.TEST:  # it began with a model file
        return None
    maker, deleted = await _maker(jobs, images, job.source_image_id, job.parent_id)
    if maker is None:
        return None
    place = maker.guild_id or "@me"
    there = maker.message_id is not None and not deleted and not maker.private
    url = f"https://discord.com/channels/{place}/{maker.channel_id}/{maker.message_id}" if there else None
    return Parent(maker.user_id, url)


async def _maker(
    jobs: Jobs, images: Images, source_image_id: ImageId | None, parent_id: JobId | None
) -> tuple[Job | None, bool]:
    if parent_id is not None:
        pictures = await images.of_job(parent_id)
        return await jobs.get(parent_id), bool(pictures) and all(picture.deleted for picture in pictures)
    source = await images.get(source_image_id) if source_image_id is not None else None
    return (await jobs.get(source.job_id), source.deleted) if source is not None else (None, False)
