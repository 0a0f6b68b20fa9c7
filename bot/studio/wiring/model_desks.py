"""Wires what answers people about models: the shelves, downloads with their cards, and /model-admin."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.domain.limits import Limits
from bot.settings import Settings
from bot.storage.download_cards import DownloadCards
from bot.storage.model_choices import Shelves
from bot.studio.model_admin.board import DownloadBoard
from bot.studio.model_admin.parts import AdminParts
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.router import Forms
from bot.studio.shelves import SHELF_VERBS, Browser
from bot.studio.stewards import Stewards
from bot.studio.wiring.drawing import DrawingParts
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.library import LibraryParts
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["ModelDesks"]


class ModelDesks:
    """`presses` and `forms` are who answers which verb."""

    def __init__(
        self,
        *,
        client: discord.Client,
        settings: Settings,
        kept: Kept,
        files: LibraryParts,
        drawing: DrawingParts,
        models: Models,
        names: ModelNames,
        stewards: Stewards,
        limits: Limits,
    ) -> None:
        self.browser = Browser(
            library=files.library,
            rules=kept.model_rules,
            shelves=Shelves(kept.database),
            next_pictures=kept.next_pictures,
            models=models,
            stewards=stewards,
        )
        self.board = DownloadBoard(
            client=client,
            downloads=files.downloads,
            cards=DownloadCards(kept.database),
            library=files.library,
            room=files.room,
            stewards=stewards,
            attachments=drawing.attachments,
            folder=settings.data / "downloads" / "attached",
        )
        self.admin = AdminParts(
            database=kept.database,
            library=files.library,
            rules=kept.model_rules,
            models=models,
            names=names,
            catalogue=files.catalogue,
            conversions=drawing.conversions,
            intake=drawing.intake,
            jobs=kept.jobs,
            attachments=drawing.attachments,
            board=self.board,
            room=files.room,
            stewards=stewards,
            limits=limits,
            models_dir=settings.models_dir,
        )
        self.presses: Mapping[str, Presses] = {
            **dict.fromkeys(SHELF_VERBS, self.browser),
            **self.admin.presses,
            Verb.DOWNLOAD_CANCEL: self.board,
        }
        self.forms: Mapping[str, Forms] = {Verb.SHELF_SEARCH_FORM: self.browser}
