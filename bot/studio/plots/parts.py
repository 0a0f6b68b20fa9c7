"""Puts the parts of plots together."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.limits import Limits
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.plots.desk import PLOT_FORMS, PLOT_VERBS, Plots
from bot.studio.router import Forms
from bot.studio.scripts.requesting import ScriptBases
from bot.studio.wardrobe import Wardrobe
from bot.ui.client import Presses

__all__ = ["PlotParts"]


class PlotParts:
    def __init__(
        self,
        *,
        bases: ScriptBases,
        intake: Intake,
        models: Models,
        wardrobe: Wardrobe,
        jobs: Jobs,
        images: Images,
        limits: Limits,
    ) -> None:
        self.desk = Plots(
            bases=bases, intake=intake, models=models, wardrobe=wardrobe, jobs=jobs, images=images, limits=limits
        )
        self.presses: Mapping[str, Presses] = dict.fromkeys(PLOT_VERBS, self.desk)
        self.forms: Mapping[str, Forms] = dict.fromkeys(PLOT_FORMS, self.desk)
