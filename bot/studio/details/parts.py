"""Puts the parts together that fix details."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.limits import Limits
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.studio.attachments import Attachments
from bot.studio.details.desk import DETAIL_FORMS, DETAIL_VERBS, DetailDesk
from bot.studio.details.fixing import Fixing
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.models import Models
from bot.studio.panels import Panels
from bot.studio.reading import PictureReader
from bot.studio.requests import Requests
from bot.studio.router import Forms
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["DetailParts"]


class DetailParts:
    def __init__(
        self,
        *,
        jobs: Jobs,
        images: Images,
        attachments: Attachments,
        intake: Intake,
        models: Models,
        panels: Panels,
        requests: Requests,
        pointed: Pointed,
        limits: Limits,
    ) -> None:
        self.desk = DetailDesk(panels=panels, models=models, limits=limits)
        self.fixing = Fixing(
            jobs=jobs,
            images=images,
            pointed=pointed,
            attachments=attachments,
            reader=PictureReader(),
            requests=requests,
            intake=intake,
            models=models,
            limits=limits,
        )
        self.presses: Mapping[str, Presses] = {**dict.fromkeys(DETAIL_VERBS, self.desk), Verb.FIX: self.fixing}
        self.forms: Mapping[str, Forms] = {**dict.fromkeys(DETAIL_FORMS, self.desk), Verb.FIX_FORM: self.fixing}
