"""Whether a picture comes from one that somebody gave, through however many pictures drawn from it, or through a LoRA
that was trained on such pictures here."""

from __future__ import annotations

from collections.abc import Callable, Collection

from pydantic import BaseModel

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.ids import ImageId
from bot.domain.named_models import loras_in
from bot.domain.safety.texts import given_refs, steering_of
from bot.storage.images import Images
from bot.storage.jobs import Jobs

__all__ = ["Origins"]

MOST = 200
"""Pictures of a lineage that are looked at; a longer one counts as coming from an upload."""


class Origins:
    def __init__(self, jobs: Jobs, images: Images) -> None:
        self._jobs = jobs
        self._images = images
        self.unpublished: Callable[[int], Collection[str]] = lambda user_id: ()
        """Names of LoRAs that this person's trainings have saved and nobody has published."""

    async def from_upload(self, task: BaseModel, user_id: int) -> bool:
        """`user_id` is who asks for it. Masks do not count: they only say where. A lineage that cannot be followed
        does."""
        if self._learnt(task, user_id):
            return True
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
            if job is None or self._learnt(job.task, job.user_id):
                return True
            pending += [one.ref for one in given_refs(job.task)]
        return False

    def _learnt(self, task: BaseModel, user_id: int) -> bool:
        """What somebody's pictures may not be made into, what was learnt from them may not draw, either."""
        said = steering_of(task)
        named = {name for text in (*said.parts, *said.away) if "<" in text for name in loras_in(text)}
        return bool(named) and not named.isdisjoint(self.unpublished(user_id))
