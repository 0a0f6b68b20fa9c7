"""Whether a picture comes from one that somebody gave, through however many pictures drawn from it."""

from __future__ import annotations

from pydantic import BaseModel

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.ids import ImageId
from bot.domain.safety.texts import given_refs
from bot.storage.images import Images
from bot.storage.jobs import Jobs

__all__ = ["Origins"]

MOST = 200
"""Pictures of a lineage that are looked at; a longer one counts as coming from an upload."""


class Origins:
    def __init__(self, jobs: Jobs, images: Images) -> None:
        self._jobs = jobs
        self._images = images

    async def from_upload(self, task: BaseModel) -> bool:
        """Masks do not count: they only say where. A lineage that cannot be followed does."""
        pending = [ref.ref for ref in given_refs(task)]
        seen: set[str] = set()
        while pending:
            ref = pending.pop()
            if ref in seen:
                continue
            seen.add(ref)
            if len(seen) > MOST or not ref.startswith(IMAGE_SCHEME):
                return True
            image = await self._images.get(ImageId(ref.removeprefix(IMAGE_SCHEME)))
            job = await self._jobs.get(image.job_id) if image is not None else None
            if job is None:
                return True
            pending += [one.ref for one in given_refs(job.task)]
        return False
