"""Wires what answers /dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.domain.limits import Limits
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.datasets import Datasets
from bot.storage.finds import Finds
from bot.storage.inputs import InputPictures
from bot.studio.attachments import Attachments
from bot.studio.datasets.adding import Adding
from bot.studio.datasets.coming import Coming
from bot.studio.datasets.desk import DATASET_FORMS, DATASET_VERBS, DatasetDesk, Train
from bot.studio.datasets.exporting import DatasetExport
from bot.studio.datasets.folders import Folders
from bot.studio.datasets.pictures import DatasetPictures
from bot.studio.datasets.rules import DatasetRules
from bot.studio.datasets.showing import DatasetShowing, More
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.router import Forms
from bot.studio.safety import SafetyParts
from bot.ui.client import Presses

__all__ = ["DatasetParts"]


class DatasetParts:
    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        datasets: Datasets,
        inputs: InputPictures,
        attachments: Attachments,
        pointed: Pointed,
        intake: Intake,
        safety: SafetyParts,
        limits: Limits,
        train: Train,
        more: Sequence[More] = (),
    ) -> None:
        """`train` opens the desk of a training; `more` are other desks' buttons on the card of a data set."""
        self.kept = datasets
        self._inputs = inputs
        room_bytes = settings.dataset_mb * 10**6
        self.rules = DatasetRules(door=safety.door, places=safety.places, rules=safety.rules, intake=intake)
        self.folders = Folders(datasets, self.rules)
        self._coming = Coming(
            datasets=datasets,
            finds=Finds(database),
            pointed=pointed,
            attachments=attachments,
            adding=Adding(datasets=datasets, inputs=inputs, limits=limits, room_bytes=room_bytes),
            rules=self.rules,
            limits=limits,
            folder=settings.data / "dataset-zips",
        )
        self._export = DatasetExport(datasets=datasets, inputs=inputs, folder=settings.data / "dataset-exports")
        self.showing = showing = DatasetShowing(
            datasets=datasets, inputs=inputs, rules=self.rules, room_bytes=room_bytes, more=more
        )
        self.desk = DatasetDesk(
            datasets=datasets,
            inputs=inputs,
            coming=self._coming,
            folders=self.folders,
            export=self._export,
            rules=self.rules,
            showing=showing,
            pictures=DatasetPictures(
                datasets=datasets, inputs=inputs, folders=self.folders, rules=self.rules, showing=showing
            ),
            room_bytes=room_bytes,
            train=train,
        )

    @property
    def presses(self) -> Mapping[str, Presses]:
        return dict.fromkeys(DATASET_VERBS, self.desk)

    @property
    def forms(self) -> Mapping[str, Forms]:
        return dict.fromkeys(DATASET_FORMS, self.desk)

    async def start(self) -> None:
        await self._coming.clear()
        await self._export.clear()
        await self.sweep()

    async def sweep(self) -> None:
        """For the janitor: what was taken out a day ago goes for good, and of data sets that are gone what a training
        still had to see."""
        await self._inputs.discard_unused(await self.kept.purge())
        await self._inputs.discard_taught()
