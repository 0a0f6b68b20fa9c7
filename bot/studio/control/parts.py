"""Puts the parts together that ask for control."""

from __future__ import annotations

from collections.abc import Mapping

from bot.storage.control_records import ControlRecords
from bot.storage.database import Database
from bot.storage.finds import Finds
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.studio.attachments import Attachments
from bot.studio.control.desk import CONTROL_FORMS, CONTROL_VERBS, ControlDesk
from bot.studio.control.found import FoundControl
from bot.studio.control.opening import Controlling
from bot.studio.control.pictures import UnitPictures
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.looking.sight import Sight
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.panels import Panels
from bot.studio.requests import Requests
from bot.studio.router import Forms
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["ControlParts"]


class ControlParts:
    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        attachments: Attachments,
        intake: Intake,
        models: Models,
        names: ModelNames,
        panels: Panels,
        requests: Requests,
        pointed: Pointed,
        sight: Sight,
    ) -> None:
        self.desk = ControlDesk(
            panels=panels,
            models=models,
            names=names,
            attachments=attachments,
            intake=intake,
            pictures=UnitPictures(jobs=jobs, images=images, inputs=inputs, sight=sight),
        )
        self.opening = Controlling(
            desk=self.desk,
            panels=panels,
            requests=requests,
            intake=intake,
            models=models,
            attachments=attachments,
            pointed=pointed,
            jobs=jobs,
            images=images,
            records=ControlRecords(database),
            sight=sight,
        )
        self.presses: Mapping[str, Presses] = {
            **dict.fromkeys(CONTROL_VERBS, self.desk),
            Verb.AS_UNIT: self.opening,
            Verb.FIND_CONTROL: FoundControl(Finds(database), self.opening),
        }
        self.forms: Mapping[str, Forms] = dict.fromkeys(CONTROL_FORMS, self.desk)
