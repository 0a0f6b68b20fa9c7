"""Adding models: what a command says becomes wishes, which the board carries out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import discord

from bot.catalogue import Entry
from bot.domain.mentions import spoken
from bot.domain.stewards import Steward
from bot.downloads import DownloadWish
from bot.downloads.links import parse_links
from bot.errors import UserFacingError
from bot.studio.live_catalogue import LiveCatalogue
from bot.studio.model_admin.board import Addition, DownloadBoard
from bot.studio.model_admin.telling import texts_of
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from gpu_worker.protocol.messages import ModelKind

__all__ = ["Adding"]

LINKS_MAX = 10
"""In one command: a card shows as many with their buttons."""
INSTALL_MAX = 40
"""Whole sets, whose files are known."""


class Adding:
    def __init__(self, board: DownloadBoard, catalogue: LiveCatalogue, stewards: Stewards) -> None:
        self._board = board
        self._catalogue = catalogue
        self._stewards = stewards

    async def add(
        self,
        interaction: Interaction,
        *,
        links: str | None,
        file: discord.Attachment | None,
        kind: ModelKind | None,
        name: str | None,
        sha256: str | None,
        hold: bool,
    ) -> None:
        """Raises UserFacingError: `add_nothing`, `add_too_many`, `add_one_name`, `add_sha256`, those of `parse_links`
        and of the board."""
        steward = self._stewards.commanding(interaction)
        found = parse_links(links) if links and links.strip() else []
        if not found and file is None:
            raise UserFacingError("add_nothing")
        if len(found) + (file is not None) > LINKS_MAX:
            raise UserFacingError("add_too_many", limit=LINKS_MAX)
        if (name or sha256) and len(found) + (file is not None) > 1:
            raise UserFacingError("add_one_name")
        if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256.strip()):
            raise UserFacingError("add_sha256")
        base = self._wish(
            interaction,
            steward,
            kind=kind,
            held=hold,
            name=name.strip() if name else None,
            sha256=sha256.strip().lower() if sha256 else None,
        )
        addition = Addition(
            wishes=[replace(base, link=link.url) for link in found],
            attachment=file,
            attached=replace(base, link=file.filename) if file is not None else None,
            held=hold,
        )
        await self._board.add(interaction, steward, addition)

    async def install(self, interaction: Interaction, names: str, *, hold: bool) -> None:
        """From the catalogue. Raises UserFacingError: `catalogue_unknown`, `catalogue_unverified`, those of the
        board."""
        steward = self._stewards.commanding(interaction)
        catalogue = await self._catalogue.current()
        entries = catalogue.find([word for word in re.split(r"[\s,;]+", names) if word])
        ready = [entry for entry in entries if entry.installable]
        if not ready:
            raise UserFacingError("catalogue_unverified", name=spoken(names))
        if len(ready) > INSTALL_MAX:
            raise UserFacingError("add_too_many", limit=INSTALL_MAX)
        left = [entry for entry in entries if not entry.installable]
        wishes = [
            self._wish(
                interaction,
                steward,
                link=entry.urls[0],
                mirrors=entry.urls[1:],
                kind=entry.kind,
                held=hold,
                name=entry.name or None,
                sha256=entry.sha256,
                allow_pickle_with_sha256=entry.allow_pickle,
                beside_url=entry.beside_url or None,
                beside_sha256=entry.beside_sha256,
            )
            for entry in ready
        ]
        notes = [texts_of(interaction)("download.left_out", names=_names(left))] if left else []
        await self._board.add(interaction, steward, Addition(wishes=wishes, held=hold, notes=notes))

    async def downloads(self, interaction: Interaction) -> None:
        await self._board.show(interaction, self._stewards.commanding(interaction))

    @staticmethod
    def _wish(interaction: Interaction, steward: Steward, *, link: str = "", **more: Any) -> DownloadWish:
        return DownloadWish(
            link=link,
            asked_by=steward.user_id,
            asked_in=steward.owner,
            channel_id=interaction.channel_id,
            locale=str(interaction.locale),
            **more,
        )


def _names(entries: Sequence[Entry]) -> str:
    return ", ".join(spoken(entry.title) for entry in entries)
