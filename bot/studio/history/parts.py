"""Wires what /history is made of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import discord

from bot.domain.limits import Limits
from bot.storage.database import Database
from bot.storage.deletions import Deletions
from bot.storage.exports import Exports
from bot.storage.favourites import Favourites
from bot.storage.history import Desks, History
from bot.storage.history_search import HistorySearch
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.thumbnails import Thumbnails
from bot.studio.attachments import Attachments
from bot.studio.history.deleting import Deleting
from bot.studio.history.exporting import EXPORT_VERBS, Exporting
from bot.studio.history.gallery import GALLERY_FORMS, GALLERY_VERBS, Gallery
from bot.studio.history.sending import Sending
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.ui.client import Interaction, Presses
from bot.ui.codec import Address

__all__ = ["HistoryParts"]

log = logging.getLogger(__name__)


class HistoryParts:
    def __init__(
        self,
        *,
        client: discord.Client,
        database: Database,
        data: Path,
        thumbnails_bytes: int,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        favourites: Favourites,
        attachments: Attachments,
        intake: Intake,
        models: Models,
        limits: Limits,
        press: Callable[[Interaction, Address], Awaitable[None]],
    ) -> None:
        """`press` answers the buttons of cards."""
        self.search = HistorySearch(database)
        self.history = History(database, self.search)
        self.thumbnails = Thumbnails(data / "thumbnails", thumbnails_bytes)
        self.deleting = Deleting(
            client=client,
            deletions=Deletions(database),
            jobs=jobs,
            images=images,
            inputs=inputs,
            favourites=favourites,
        )
        self.exporting = Exporting(
            client=client,
            exports=Exports(database),
            history=self.history,
            images=images,
            folder=data / "exports",
        )
        self.gallery = Gallery(
            history=self.history,
            search=self.search,
            desks=Desks(database),
            images=images,
            favourites=favourites,
            thumbnails=self.thumbnails,
            sending=Sending(
                jobs=jobs,
                images=images,
                inputs=inputs,
                attachments=attachments,
                intake=intake,
                models=models,
                limits=limits,
                press=press,
            ),
            deleting=self.deleting,
            exporting=self.exporting,
        )
        self._filling: asyncio.Task[None] | None = None

    @property
    def presses(self) -> Mapping[str, Presses]:
        return {**dict.fromkeys(GALLERY_VERBS, self.gallery), **dict.fromkeys(EXPORT_VERBS, self.exporting)}

    @property
    def forms(self) -> Mapping[str, Gallery]:
        return dict.fromkeys(GALLERY_FORMS, self.gallery)

    async def start(self) -> None:
        await self.search.prepare()
        await self.exporting.start()
        self._filling = asyncio.create_task(self._fill(), name="history-fill")

    async def stop(self) -> None:
        await self.exporting.stop()
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)

    async def _fill(self) -> None:
        try:
            await self.search.fill()
        except Exception:
            log.exception("old prompts were not all added to the search; the next start goes on")
