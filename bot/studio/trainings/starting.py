"""A training is checked like every job, the words of its pictures, name and samples as well, and committed with its
row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.domain.captions.rules import untaught
from bot.domain.ids import JobId, UserId
from bot.domain.job import Action, Lane, NewJob, NewTraining
from bot.domain.mentions import spoken
from bot.domain.notes import named as listed
from bot.errors import ContentRefusedError, UserFacingError
from bot.storage.preferences import Preferences
from bot.storage.training_desks import TrainingDesk, TrainingDesks
from bot.storage.trainings import Trainings
from bot.studio.dynamic import in_time
from bot.studio.intake import Intake
from bot.studio.new_jobs import job_from
from bot.studio.safety.request import JobRequest
from bot.studio.stewards import Stewards
from bot.studio.trainings.outlook import Outlook, Outlooks
from bot.studio.trainings.rights import require_may_train
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.protocol.specs import Train, TrainImage, TrainSubset

__all__ = ["TrainingStart", "judged_with"]


class TrainingStart:
    def __init__(
        self,
        *,
        intake: Intake,
        desks: TrainingDesks,
        trainings: Trainings,
        outlooks: Outlooks,
        preferences: Preferences,
        stewards: Stewards,
        per_user: int,
    ) -> None:
        self._intake = intake
        self._desks = desks
        self._trainings = trainings
        self._outlooks = outlooks
        self._preferences = preferences
        self._stewards = stewards
        self._per_user = per_user
        self.require_room: Callable[[UserId], Awaitable[None]] | None = None
        """Whether the files of one more training have room; raises UserFacingError."""
        self._turn = asyncio.Lock()
        """Names and places are counted by one request after the other."""

    def require_allowed(self, interaction: Interaction) -> None:
        """Raises UserFacingError: `train_nobody`, `train_admins`."""
        require_may_train(interaction, self._preferences, self._stewards)

    async def begin(self, interaction: Interaction, desk: TrainingDesk, *, private: bool) -> None:
        """Commits it and answers with its card. Raises UserFacingError: `train_started`, `train_waits`,
        `trained_room`, `trained_room_all`, `train_captions_refused`, `train_captions_minors`, `train_words_refused`,
        `train_samples_refused`, those of `Outlook.problem`, and whatever else refuses a job."""
        self.require_allowed(interaction)
        if not await self._desks.take(desk.id):
            raise UserFacingError("train_started")
        try:
            request, new = await in_time(interaction, self._checked(interaction, desk, private=private), hidden=private)
            async with self._turn:
                await self._require_place(request.user_id, desk)
                if await self._intake.commit(interaction, request, new) is not None:
                    assert isinstance(new.task, Train), "as it was checked"
                    await self._intake.used(new.task, request.user_id)
        except BaseException:
            await self._desks.give_back(desk.id)
            raise

    async def _require_place(self, user_id: UserId, desk: TrainingDesk) -> None:
        """What another request may have taken meanwhile."""
        waiting = [one for one in await self._trainings.running() if one.user_id == user_id]
        if len(waiting) >= self._per_user:
            raise UserFacingError("train_waits", n=self._per_user)
        if await self._outlooks.is_taken(desk.wish.name):
            raise UserFacingError("train_name_taken", name=spoken(desk.wish.name))

    async def _checked(
        self, interaction: Interaction, desk: TrainingDesk, *, private: bool
    ) -> tuple[JobRequest, NewJob]:
        """Answers nothing: whoever waits for it may have to acknowledge meanwhile."""
        user_id, where = UserId(interaction.user.id), where_of(interaction)
        await self._require_place(user_id, desk)
        if self.require_room is not None:
            await self.require_room(user_id)
        outlook = await self._outlooks.of(desk.wish, user_id, where)
        if outlook.plan is None:
            assert outlook.problem is not None, "there is no plan"
            raise outlook.problem
        spec = outlook.plan.spec
        locale = str(interaction.locale)
        request = JobRequest(user_id, spec, Action.TRAIN, where, locale)
        try:
            await self._intake.check(request)
        except ContentRefusedError as refusal:
            raise await asyncio.to_thread(_which, refusal, spec, outlook) from refusal
        try:
            await self._intake.check(replace(request, task=judged_with(spec, desk.wish.trigger, outlook)))
        except ContentRefusedError as refusal:
            raise _of_given(refusal, "train_samples_refused") from refusal
        if outlook.sampled is not None:
            await self._intake.check(replace(request, task=outlook.sampled, action=Action.SAMPLE))
        new = job_from(
            interaction, spec, Action.TRAIN, lane=Lane.TRAINING, source_image_id=None, parent_id=None,
            private=private and interaction.guild_id is not None,
        )  # fmt: skip
        retry_of = desk.wish.retry_of
        new = replace(
            new,
            id=desk.id,  # by which a bot that died knows whether it has begun
            training=NewTraining(
                dataset_id=desk.wish.dataset_id,
                preset=desk.wish.preset,
                trigger_words=desk.wish.trigger,
                samples=outlook.samples,
                compare=desk.wish.compare,
                retry_of=JobId(retry_of) if retry_of else None,
            ),
        )
        return request, new


def _which(refusal: ContentRefusedError, spec: Train, outlook: Outlook) -> UserFacingError:
    """Says which captions it is about, so that their pictures can be found."""
    minors = refusal.key == "content_minors"
    names = [spoken(outlook.names.get(sha256, "")) for sha256 in untaught(spec, minors=minors)]
    if not names:
        return _of_given(refusal, "train_words_refused")
    if minors:
        return ContentRefusedError("train_captions_minors", n=len(names), names=listed(names))
    return _of_given(refusal, "train_captions_refused", n=len(names), names=listed(names))


def _of_given(refusal: ContentRefusedError, key: str, **values: object) -> ContentRefusedError:
    """`content_upload` speaks of pictures that are changed."""
    return ContentRefusedError(key, **values) if refusal.key == "content_upload" else refusal


def judged_with(spec: Train, trigger: str, outlook: Outlook) -> Train:
    """The same training as if what its samples say, and its trigger word, stood below its pictures: whatever may not be
    learnt from them may not be drawn with what was learnt."""
    (dataset,) = spec.datasets
    picture = dataset.subsets[0].images[0]
    words = [trigger] if trigger else []
    if outlook.sampled is not None:
        words += [own.prompt for own in outlook.sampled.texts] or [outlook.sampled.prompt]
    if not words:
        return spec
    said = TrainSubset(name="samples", images=tuple(TrainImage(image=picture.image, caption=text) for text in words))
    return spec.model_copy(update={"datasets": (dataset.model_copy(update={"subsets": (said,)}),)})
