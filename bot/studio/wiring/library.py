"""Wires the model files: what is in the folders, what may come in, and how much room it has."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.model_rules import EVERYWHERE, Rule, Scope
from bot.downloads import DownloadWish
from bot.downloads.manager import DownloadRules, Downloads
from bot.downloads.web import Tokens, Web, WebRules
from bot.library import Library
from bot.studio.live_catalogue import LiveCatalogue
from bot.studio.model_admin.room import Room
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.opened import StudioParts

__all__ = ["LibraryParts"]


class LibraryParts:
    def __init__(self, opened: StudioParts, kept: Kept) -> None:
        settings = opened.settings
        self._rules = kept.model_rules
        self.catalogue = LiveCatalogue(settings.data)
        self.library = Library(
            kept.database,
            models_dir=settings.models_dir,
            demo_dir=settings.demo_dir,
            extra_folders=settings.model_folders,
            family_by_hash=self.catalogue.family_of,
            forget=kept.model_rules.forget,
        )
        self.room = Room(
            self.library,
            lambda: self.downloads.active(),
            kept.jobs.waiting_files,
            quota_gb=settings.server_quota_gb,
            budget_gb=settings.disk_budget_gb,
        )
        self.downloads = Downloads(
            kept.database,
            self.library,
            Web(
                opened.web or WebRules(allow_http=settings.download_http),
                Tokens(settings.civitai_token, settings.huggingface_token),
            ),
            data=settings.data,
            rules=replace(DownloadRules.of(settings), allowance=self.room.allowance, hold=self._hold),
        )

    async def _hold(self, wish: DownloadWish, file_id: str) -> None:
        """An operator's file everywhere, a server's in it."""
        place = EVERYWHERE if wish.asked_in is None else wish.asked_in
        await self._rules.put(Rule(place, Scope.SERVER, place, file_id, enabled=False))
