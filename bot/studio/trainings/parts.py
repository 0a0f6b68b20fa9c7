"""Wires everything about trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.domain.ids import JobId, UserId
from bot.domain.limits import Limits
from bot.settings import Settings
from bot.storage.training_desks import TrainingDesks
from bot.studio.attachments import Attachments
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.pressed import Pressed
from bot.studio.router import Forms
from bot.studio.safety import SafetyParts
from bot.studio.stewards import Stewards
from bot.studio.trainings.board import TRAINING_VERBS, TrainingBoard
from bot.studio.trainings.desk import TRAIN_FORMS, TRAIN_VERBS, TrainingDeskBoard
from bot.studio.trainings.outlook import Outlooks
from bot.studio.trainings.sampling import SampleRunner
from bot.studio.trainings.showing import TrainingCards
from bot.studio.trainings.starting import TrainingStart
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.line import LineParts
from bot.ui.client import Presses

__all__ = ["TrainingParts"]


class TrainingParts:
    def __init__(
        self,
        *,
        settings: Settings,
        kept: Kept,
        line: LineParts,
        safety: SafetyParts,
        intake: Intake,
        models: Models,
        attachments: Attachments,
        pressed: Pressed,
        stewards: Stewards,
        limits: Limits,
    ) -> None:
        self._line = line
        self._datasets = kept.datasets
        self._trainings = kept.trainings
        self._desks = TrainingDesks(kept.database)
        self.outlooks = Outlooks(
            datasets=kept.datasets,
            trainings=kept.trainings,
            models=models,
            limits=limits,
            steps_max=settings.train_steps_max,
            estimate_s=kept.timings.training_s,
            age_restricted=safety.places.age_restricted,
        )
        self.start_ = TrainingStart(
            intake=intake,
            desks=self._desks,
            trainings=kept.trainings,
            outlooks=self.outlooks,
            preferences=kept.preferences,
            stewards=stewards,
            per_user=settings.trainings_per_user,
        )
        self.desk = TrainingDeskBoard(
            desks=self._desks,
            datasets=kept.datasets,
            outlooks=self.outlooks,
            start=self.start_,
            models=models,
            intake=intake,
            attachments=attachments,
        )
        self.cards = TrainingCards(trainings=kept.trainings, jobs=kept.jobs, images=kept.images, veils=safety.judge)
        self.board = TrainingBoard(
            trainings=kept.trainings,
            jobs=kept.jobs,
            images=kept.images,
            cards=self.cards,
            editor=line.editor,
            dispatcher=line.dispatcher,
            pressed=pressed,
            desk=self.desk,
            outlooks=self.outlooks,
            intake=intake,
        )
        self._samples = SampleRunner(
            trainings=kept.trainings,
            jobs=kept.jobs,
            intake=intake,
            models=models,
            dispatcher=line.dispatcher,
            limits=limits,
        )
        self.on_saved: list[Callable[[JobId, str], None]] = []
        """Who else hears of each file that a training saves."""
        self._samples.sampled = self._changed
        line.editor.training_card = self.cards.live
        line.deliverer.training_card = self.cards.ended
        line.deliverer.sampled = self._changed
        line.relay.trained = self._saved
        self.presses: Mapping[str, Presses] = {
            **dict.fromkeys(TRAIN_VERBS, self.desk),
            **dict.fromkeys(TRAINING_VERBS, self.board),
        }
        self.forms: Mapping[str, Forms] = dict.fromkeys(TRAIN_FORMS, self.desk)

    async def start(self) -> None:
        await self._desks.give_back()
        await self._samples.start()

    async def stop(self) -> None:
        await self._samples.stop()

    async def dataset_names(self, user_id: UserId) -> list[str]:
        return await self._datasets.names(user_id)

    async def names(self, user_id: UserId) -> list[str]:
        """Of one's trainings, the newest first."""
        return list(dict.fromkeys(one.name for one in await self._trainings.of_user(user_id)))

    def _saved(self, job_id: JobId, name: str) -> None:
        self._samples.saved(job_id)
        self._changed(job_id)
        for hear in self.on_saved:
            hear(job_id, name)

    def _changed(self, job_id: JobId) -> None:
        """Its card shows something else now, whether it runs or is over."""
        self._line.editor.training_changed(job_id)
        self._line.deliverer.refresh(job_id)
