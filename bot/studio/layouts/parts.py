"""Puts the parts together that lay out regions."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.limits import Limits
from bot.studio.intake import Intake
from bot.studio.layouts.desk import LAYOUT_FORMS, LAYOUT_VERBS, LayoutDesk
from bot.studio.layouts.opening import Layouts
from bot.studio.models import Models
from bot.studio.panels import Panels
from bot.studio.requests import Requests
from bot.studio.router import Forms
from bot.ui.client import Presses

__all__ = ["LayoutParts"]


class LayoutParts:
    def __init__(self, *, panels: Panels, requests: Requests, intake: Intake, models: Models, limits: Limits) -> None:
        self.desk = LayoutDesk(panels=panels, changes=panels.changes)
        self.opening = Layouts(
            desk=self.desk, panels=panels, requests=requests, intake=intake, models=models, limits=limits
        )
        self.presses: Mapping[str, Presses] = dict.fromkeys(LAYOUT_VERBS, self.desk)
        self.forms: Mapping[str, Forms] = dict.fromkeys(LAYOUT_FORMS, self.desk)
