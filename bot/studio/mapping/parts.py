"""Puts the parts together that make maps."""

from __future__ import annotations

from collections.abc import Mapping as Table

from bot.storage.database import Database
from bot.storage.finds import Finds
from bot.storage.jobs import Jobs
from bot.studio.attachments import Attachments
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.looking.sight import Sight
from bot.studio.mapping.desk import MAP_FORMS, MAP_VERBS, MappingDesk
from bot.studio.mapping.making import Mapping
from bot.studio.models import Models
from bot.studio.router import Forms
from bot.ui.client import Presses

__all__ = ["MappingParts"]


class MappingParts:
    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        pointed: Pointed,
        sight: Sight,
        attachments: Attachments,
        intake: Intake,
        models: Models,
    ) -> None:
        self.mapping = Mapping(pointed=pointed, sight=sight, attachments=attachments, intake=intake, models=models)
        desk = MappingDesk(finds=Finds(database), jobs=jobs, pointed=pointed, mapping=self.mapping)
        self.presses: Table[str, Presses] = dict.fromkeys(MAP_VERBS, desk)
        self.forms: Table[str, Forms] = dict.fromkeys(MAP_FORMS, desk)
