"""Wires what answers /model-admin: the commands of a cog, and the buttons below their answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bot.domain.limits import Limits
from bot.library import Library
from bot.storage.database import Database
from bot.storage.jobs import Jobs
from bot.storage.model_audit import ModelAudit
from bot.storage.model_rules import ModelRules
from bot.studio.attachments import Attachments
from bot.studio.conversions import Conversions
from bot.studio.intake import Intake
from bot.studio.live_catalogue import LiveCatalogue
from bot.studio.model_admin.adding import Adding
from bot.studio.model_admin.board import DownloadBoard
from bot.studio.model_admin.choices import AdminChoices
from bot.studio.model_admin.desk import ADMIN_VERBS, ModelAdmin
from bot.studio.model_admin.files import ModelFiles
from bot.studio.model_admin.makings import Makings
from bot.studio.model_admin.refreshing import Refreshing
from bot.studio.model_admin.reporting import REPORT_VERBS, Reporting
from bot.studio.model_admin.retries import Retries
from bot.studio.model_admin.room import Room
from bot.studio.model_admin.ruling import Ruling
from bot.studio.model_admin.trials import Trials
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.stewards import Stewards
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["AdminParts"]


class AdminParts:
    """`presses` are who answers which verb."""

    presses: Mapping[str, Presses]

    def __init__(
        self,
        *,
        database: Database,
        library: Library,
        rules: ModelRules,
        models: Models,
        names: ModelNames,
        catalogue: LiveCatalogue,
        conversions: Conversions,
        intake: Intake,
        jobs: Jobs,
        attachments: Attachments,
        board: DownloadBoard,
        room: Room,
        stewards: Stewards,
        limits: Limits,
        models_dir: Path,
    ) -> None:
        audit = ModelAudit(database)
        files = ModelFiles(library, rules, audit)
        trials = Trials(models, intake, audit, limits)
        self.stewards = stewards
        self.adding = Adding(board, catalogue, stewards)
        self.refreshing = Refreshing(library, stewards)
        self.makings = Makings(conversions, files)
        self.choices = AdminChoices(library, rules, names, catalogue, stewards)
        self.reporting = Reporting(
            library=library, files=files, audit=audit, room=room, stewards=stewards, models_dir=models_dir
        )
        self.ruling = Ruling(rules, audit, models)
        self.desk = ModelAdmin(
            library=library,
            files=files,
            ruling=self.ruling,
            trials=trials,
            reporting=self.reporting,
            models=models,
            audit=audit,
            stewards=stewards,
            attachments=attachments,
        )
        retries = Retries(
            jobs=jobs,
            intake=intake,
            library=library,
            audit=audit,
            stewards=stewards,
            makings=self.makings,
            trials=trials,
        )
        self.presses = {
            **dict.fromkeys(ADMIN_VERBS, self.desk),
            **dict.fromkeys(REPORT_VERBS, self.reporting),
            Verb.RETRY: retries,
        }
