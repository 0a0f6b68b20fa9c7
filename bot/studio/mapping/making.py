"""From a picture that somebody pointed at and a wish to the job that makes its map."""

from __future__ import annotations

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.ids import ImageId
from bot.domain.job import Action, Job
from bot.domain.mapping import MapWish, choose_preprocessor, map_spec, maps_of
from bot.errors import UserFacingError
from bot.storage.finds import FoundPicture
from bot.storage.inputs import given_pictures
from bot.studio.attachments import Attachments
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.looking.sight import Sight
from bot.studio.models import Models
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ImageRef, Preprocess

__all__ = ["Mapping"]


class Mapping:
    def __init__(
        self, *, pointed: Pointed, sight: Sight, attachments: Attachments, intake: Intake, models: Models
    ) -> None:
        self._pointed = pointed
        self._sight = sight
        self._attachments = attachments
        self._intake = intake
        self._models = models

    def facts(self, interaction: Interaction) -> tuple[ModelFact, ...]:
        return self._models.facts(where_of(interaction))

    async def begin(self, interaction: Interaction, found: FoundPicture, wish: MapWish) -> None:
        """Raises UserFacingError: those of `map_spec` and `Attachments.taken`, whatever refuses a job."""
        facts = self.facts(interaction)
        choose_preprocessor(wish.preprocessor, facts)  # before anything is fetched
        ours = await self._pointed.ours(found)
        if ours is not None:
            image, _ = ours
            ref = ImageRef(
                ref=f"{IMAGE_SCHEME}{image.id}", sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes
            )
            spec = map_spec(wish, ref, (image.width, image.height), facts)
            await self._begin(interaction, spec, image.id)
            return
        self._attachments.check(found)
        hidden = await self._intake.is_private(interaction)
        async with acknowledged(interaction, hidden=hidden), self._attachments.taken(found, None) as given:
            spec = map_spec(wish, given.image, (given.width, given.height), facts)
            await self._begin(interaction, spec, None)

    async def again(self, interaction: Interaction, job: Job, wish: MapWish) -> None:
        """The same picture under other numbers. Raises UserFacingError as `begin`, `map_unknown`, `maps_hidden`:
        with `none` it would be the picture itself."""
        before = one_map(job)
        await self._require_seen(interaction, before, job)
        size = (before.width, before.height) if before.width and before.height else (1, 1)
        spec = map_spec(wish, before.image, size, self.facts(interaction))
        await self._intake.begin(
            interaction, spec, Action.PREPROCESS, parent_id=job.id, source_image_id=job.source_image_id
        )

    async def of_drawing(self, interaction: Interaction, job: Job) -> None:
        """The maps that led it, which show what they were made of: those of given pictures are for the giver alone,
        the others for whoever sees the pictures. Raises UserFacingError (`no_maps`, `maps_hidden`), and whatever
        refuses a job."""
        spec = maps_of(job.spec)
        if spec is None:
            raise UserFacingError("no_maps")
        for each in spec.maps:
            choose_preprocessor(each.preprocessor, self.facts(interaction))
        await self._require_seen(interaction, spec, job)
        hidden = True if await self._sight.alone(interaction, given_pictures(spec)) else None
        await self._intake.begin(interaction, spec, Action.PREPROCESS, parent_id=job.id, private=hidden)

    async def _require_seen(self, interaction: Interaction, spec: Preprocess, job: Job) -> None:
        for ref in given_pictures(spec):
            if not await self._sight.may_see(interaction, ref, job):
                raise UserFacingError("maps_hidden")

    async def _begin(self, interaction: Interaction, spec: Preprocess, source: ImageId | None) -> None:
        await self._intake.begin(interaction, spec, Action.PREPROCESS, source_image_id=source)


def one_map(job: Job) -> Preprocess:
    """Raises UserFacingError (`map_unknown`) for a job that made something else, or several at once."""
    if not isinstance(job.task, Preprocess) or job.task.others:
        raise UserFacingError("map_unknown")
    return job.task
