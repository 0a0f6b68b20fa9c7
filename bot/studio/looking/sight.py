"""Who may be shown the pictures that a request was given. What nobody but their giver has seen stays the giver's, also
where others draw on from it; what was drawn here is seen by whoever can see its card."""

from __future__ import annotations

from collections.abc import Sequence

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Action, Image, Job
from bot.storage.images import Images
from bot.storage.inputs import given_pictures
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import ImageRef

__all__ = ["GOES_ON", "Sight"]

MOST = 200
"""Jobs of a lineage that are looked at; of a longer one it is not known who gave its pictures."""
GOES_ON = frozenset(
    {
        Action.REROLL, Action.EDIT, Action.VARY_SUBTLE, Action.VARY_STRONG, Action.UPSCALE, Action.UPSCALE_SUBTLE,
        Action.ZOOM, Action.PAN, Action.SQUARE, Action.REGION, Action.CELL,
    }
)  # fmt: skip
"""Actions that begin with another job. Where that is forgotten, so is who gave its pictures."""


class Sight:
    def __init__(self, *, jobs: Jobs, images: Images, pointed: Pointed, intake: Intake) -> None:
        self._jobs = jobs
        self._images = images
        self._pointed = pointed
        self._intake = intake

    async def may_see(self, interaction: Interaction, ref: ImageRef, behind: Job | None) -> bool:
        """`behind` is the job that was given it."""
        if not ref.ref.startswith(IMAGE_SCHEME):
            return behind is not None and await self.gave(UserId(interaction.user.id), ref, behind)
        found = await self._drawn(ref)
        if found is None or not self._pointed.may_see(interaction, found[1]):
            return False
        return not await self._intake.veiled([found[0].id], where_of(interaction))

    async def alone(self, interaction: Interaction, refs: Sequence[ImageRef]) -> bool:
        """Whether others here have not seen all of them, so that what shows them is for this person alone."""
        for ref in refs:
            found = await self._drawn(ref) if ref.ref.startswith(IMAGE_SCHEME) else None
            if found is None or found[1].private or found[1].channel_id != interaction.channel_id:
                return True
        return False

    async def gave(self, user_id: UserId, ref: ImageRef, job: Job) -> bool:
        """Whether that person brought the picture into the lineage of the job."""
        known: dict[JobId, frozenset[tuple[UserId, bool]]] = {}
        givers = await self._givers(ref, job, known)
        return bool(givers) and len(known) <= MOST and givers == frozenset({(user_id, True)})

    async def _givers(
        self, ref: ImageRef, job: Job, known: dict[JobId, frozenset[tuple[UserId, bool]]]
    ) -> frozenset[tuple[UserId, bool]]:
        """Whose jobs have it that come from none that has it, and whether what they come from is known."""
        if job.id in known or len(known) > MOST:
            return known.get(job.id, frozenset())
        known[job.id] = frozenset()
        before = await self._before(job)
        givers = frozenset[tuple[UserId, bool]]().union(*[await self._givers(ref, one, known) for one in before])
        if not givers and ref.ref in {one.ref for one in given_pictures(job.task)}:
            givers = frozenset({(job.user_id, bool(before) or job.action not in GOES_ON)})
        known[job.id] = givers
        return givers

    async def _before(self, job: Job) -> list[Job]:
        source = await self._images.get(job.source_image_id) if job.source_image_id is not None else None
        ids = dict.fromkeys((job.parent_id, source.job_id if source is not None else None, job.script_id))
        found = [await self._jobs.get(one) for one in ids if one is not None]
        return [one for one in found if one is not None]

    async def _drawn(self, ref: ImageRef) -> tuple[Image, Job] | None:
        image = await self._images.get(ImageId(ref.ref.removeprefix(IMAGE_SCHEME)))
        job = await self._jobs.get(image.job_id) if image is not None else None
        return (image, job) if image is not None and job is not None else None
