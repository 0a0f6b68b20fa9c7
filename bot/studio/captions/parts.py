"""Puts the parts of the tag editor together."""

from __future__ import annotations

from collections.abc import Mapping

from bot.storage.caption_editors import CaptionEditors
from bot.storage.database import Database
from bot.storage.datasets import Datasets
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.studio.captions.changing import CaptionChanges
from bot.studio.captions.desk import CAPTION_FORMS, CAPTION_VERBS, CaptionDesk, TaggedCards
from bot.studio.captions.pages import EditorPages
from bot.studio.captions.replacing import Replacer
from bot.studio.captions.tagging import Tagging
from bot.studio.datasets.rules import DatasetRules
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.router import Forms
from bot.studio.safety import SafetyParts
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["CaptionParts"]


class CaptionParts:
    """`presses` and `forms` are who answers which verb; `tagging.write` is for the deliverer."""

    def __init__(
        self,
        *,
        database: Database,
        datasets: Datasets,
        jobs: Jobs,
        inputs: InputPictures,
        intake: Intake,
        models: Models,
        rules: DatasetRules,
        safety: SafetyParts,
    ) -> None:
        pages = EditorPages(datasets=datasets, inputs=inputs, rules=rules)
        self.changes = changes = CaptionChanges(datasets=datasets, replacer=Replacer(), rules=rules)
        self.tagging = Tagging(datasets=datasets, intake=intake, models=models, rules=safety.rules)
        self.desk = CaptionDesk(
            editors=CaptionEditors(database), pages=pages, changes=changes, tagging=self.tagging, rules=rules
        )
        cards = TaggedCards(jobs=jobs, pages=pages, changes=changes, desk=self.desk)
        self.presses: Mapping[str, Presses] = {**dict.fromkeys(CAPTION_VERBS, self.desk), Verb.CAPTIONED: cards}
        self.forms: Mapping[str, Forms] = dict.fromkeys(CAPTION_FORMS, self.desk)
