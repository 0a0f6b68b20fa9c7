"""Who answers the buttons and forms of a finished picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.domain.limits import Limits
from bot.storage.favourites import Favourites
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.studio.attachments import Attachments
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.more import MORE_VERBS, More
from bot.studio.picture_actions import PICTURE_VERBS, PictureActions
from bot.studio.regions import REGION_VERBS, Regions
from bot.studio.router import Forms
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["PictureParts"]


@dataclass(frozen=True)
class PictureParts:
    jobs: Jobs
    images: Images
    inputs: InputPictures
    favourites: Favourites
    attachments: Attachments
    intake: Intake
    models: Models
    limits: Limits

    def answering(self) -> tuple[Mapping[str, Presses], Mapping[str, Forms]]:
        """For buttons and lists, and for forms, by verb."""
        actions = PictureActions(
            jobs=self.jobs,
            images=self.images,
            favourites=self.favourites,
            intake=self.intake,
            models=self.models,
            limits=self.limits,
        )
        regions = Regions(
            pictures=actions,
            images=self.images,
            inputs=self.inputs,
            attachments=self.attachments,
            intake=self.intake,
            models=self.models,
            limits=self.limits,
        )
        more = More(jobs=self.jobs, images=self.images, favourites=self.favourites, intake=self.intake)
        presses: dict[str, Presses] = {
            **dict.fromkeys(PICTURE_VERBS, actions),
            **dict.fromkeys(REGION_VERBS, regions),
            **dict.fromkeys(MORE_VERBS, more),
        }
        return presses, {Verb.ZOOM_FORM: actions, Verb.REGION_FORM: regions}
