"""Wires what becomes of a training's files."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.domain.limits import Limits
from bot.settings import Settings
from bot.storage.model_audit import ModelAudit
from bot.storage.training_results import TrainingResults
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.router import Forms
from bot.studio.safety import SafetyParts
from bot.studio.scripts.parts import ScriptParts
from bot.studio.stewards import Stewards
from bot.studio.trainings.comparing import Comparing
from bot.studio.trainings.keeping import Keeping
from bot.studio.trainings.parts import TrainingParts
from bot.studio.trainings.publishing import Publisher
from bot.studio.trainings.results import TRAINED_FORMS, TRAINED_VERBS, TrainedFiles
from bot.studio.unpublished import Unpublished
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.library import LibraryParts
from bot.studio.wiring.line import LineParts
from bot.ui.client import Presses

__all__ = ["TrainingResultParts"]


class TrainingResultParts:
    def __init__(
        self,
        *,
        client: discord.Client,
        settings: Settings,
        kept: Kept,
        files: LibraryParts,
        line: LineParts,
        scripts: ScriptParts,
        safety: SafetyParts,
        trainings: TrainingParts,
        unpublished: Unpublished,
        intake: Intake,
        models: Models,
        stewards: Stewards,
        limits: Limits,
    ) -> None:
        results = TrainingResults(kept.database)
        self.keeping = Keeping(
            client=client,
            trainings=kept.trainings,
            results=results,
            jobs=kept.jobs,
            unpublished=unpublished,
            keep_days=settings.trainings_keep_days,
            user_gb=settings.trainings_user_gb,
            all_gb=settings.trainings_gb,
            files_changed=line.dispatcher.rescan,
            card_changed=line.deliverer.refresh,
        )
        self.comparing = Comparing(
            intake=intake,
            trainings=kept.trainings,
            results=results,
            datasets=kept.datasets,
            inputs=kept.inputs,
            jobs=kept.jobs,
            images=kept.images,
            models=models,
            limits=limits,
            estimate_s=kept.timings.estimate_s,
            found=self.keeping.changed,
        )
        self.files = TrainedFiles(
            trainings=kept.trainings,
            results=results,
            jobs=kept.jobs,
            comparing=self.comparing,
            publisher=Publisher(
                library=files.library,
                rules=kept.model_rules,
                audit=ModelAudit(kept.database),
                room=files.room,
                trainings=kept.trainings,
                datasets=kept.datasets,
                jobs=kept.jobs,
                images=kept.images,
                judge=safety.judge,
                folder=settings.data / "publishing",
            ),
            keeping=self.keeping,
            stewards=stewards,
            wish_of=trainings.board.wish_of,
            open_desk=trainings.desk.show_new,
        )
        trainings.start_.require_room = self.keeping.require_room
        trainings.cards.kept_until = self.keeping.goes_at
        trainings.on_saved.append(self.keeping.saved)
        line.relay.also.append(self.comparing.job_ended)
        scripts.on_ended.append(self.comparing.job_ended)
        self.presses: Mapping[str, Presses] = dict.fromkeys(TRAINED_VERBS, self.files)
        self.forms: Mapping[str, Forms] = dict.fromkeys(TRAINED_FORMS, self.files)

    async def start(self) -> None:
        await self.comparing.start()

    async def stop(self) -> None:
        await self.comparing.stop()
        await self.keeping.stop()
