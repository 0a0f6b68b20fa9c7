"""Wires what /history is made of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import discord

from bot.delivery.deliver import Deliverer
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import UserId
from bot.domain.job import Image
from bot.domain.limits import Limits
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.deletions import Deletions
from bot.storage.exports import Exports
from bot.storage.favourites import Favourites
from bot.storage.finds import FoundPicture
from bot.storage.forgetting import Forgetting
from bot.storage.forgettings import ForgetWishes
from bot.storage.history import Desks, History
from bot.storage.history_search import HistorySearch
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from bot.storage.jobs import Jobs
from bot.storage.retention import Retention
from bot.storage.starboards import Starboards
from bot.storage.thumbnails import Thumbnails
from bot.studio.attachments import Attachments
from bot.studio.forget_me import ForgetMe
from bot.studio.history.deleting import Deleting
from bot.studio.history.exporting import EXPORT_VERBS, Exporting
from bot.studio.history.gallery import GALLERY_FORMS, GALLERY_VERBS, Gallery
from bot.studio.history.janitor import Janitor
from bot.studio.history.messages import MessageSight
from bot.studio.history.sending import Sending
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.retention import Pruner
from bot.studio.router import Forms
from bot.studio.starboard import Showing, Starboard
from bot.ui.client import Interaction, Presses
from bot.ui.codec import Address, Verb

__all__ = ["HistoryParts"]

log = logging.getLogger(__name__)


class HistoryParts:
    def __init__(
        self,
        *,
        client: discord.Client,
        database: Database,
        settings: Settings,
        jobs: Jobs,
        images: Images,
        inputs: InputPictures,
        favourites: Favourites,
        attachments: Attachments,
        intake: Intake,
        models: Models,
        limits: Limits,
        dispatcher: Dispatcher,
        deliverer: Deliverer,
        showing: Showing,
        press: Callable[[Interaction, Address], Awaitable[None]],
        into_dataset: Callable[[Interaction, Sequence[FoundPicture]], Awaitable[None]],
        also_sweep: Sequence[Callable[[], Awaitable[object]]] = (),
        first_forget: Sequence[Callable[[UserId], Awaitable[object]]] = (),
        also_forget: Sequence[Callable[[UserId], Awaitable[object]]] = (),
    ) -> None:
        """`press` answers the buttons of cards, `into_dataset` asks where chosen pictures go; `also_sweep` is done in
        time, too; `first_forget` and `also_forget` as in ForgetMe."""
        self.search = HistorySearch(database)
        self.history = History(database, self.search)
        self.thumbnails = Thumbnails(settings.data / "thumbnails", int(settings.thumbnails_gb * 1e9))
        images.subscribe_deleted(self._deleted)
        self.deleting = Deleting(
            client=client,
            deletions=Deletions(database),
            jobs=jobs,
            images=images,
            inputs=inputs,
            favourites=favourites,
            deliverer=deliverer,
        )
        self.exporting = Exporting(
            client=client,
            exports=Exports(database),
            history=self.history,
            images=images,
            intake=intake,
            folder=settings.data / "exports",
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
            into_dataset=into_dataset,
            sight=MessageSight(client),
        )
        self.retention = Retention(database)
        self.pruner = Pruner(self.retention, images, keep_days=settings.keep_days, keep_gb=settings.keep_gb)
        self.keep_days = settings.keep_days
        self.boards = Starboards(database)
        self.starboard = Starboard(
            client=client,
            boards=self.boards,
            favourites=favourites,
            jobs=jobs,
            images=images,
            showing=showing,
        )
        self.janitor = Janitor(
            deleting=self.deleting,
            exporting=self.exporting,
            pruner=self.pruner,
            starboard=self.starboard,
            also=also_sweep,
        )
        self.forget_me = ForgetMe(
            client=client,
            wishes=ForgetWishes(database),
            forgetting=Forgetting(database),
            jobs=jobs,
            images=images,
            inputs=inputs,
            thumbnails=self.thumbnails,
            search=self.search,
            exporting=self.exporting,
            starboard=self.starboard,
            dispatcher=dispatcher,
            first=first_forget,
            also=also_forget,
        )
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def presses(self) -> Mapping[str, Presses]:
        return {
            **dict.fromkeys(GALLERY_VERBS, self.gallery),
            **dict.fromkeys(EXPORT_VERBS, self.exporting),
            Verb.FORGET: self.forget_me,
        }

    @property
    def forms(self) -> Mapping[str, Forms]:
        return {**dict.fromkeys(GALLERY_FORMS, self.gallery), Verb.FORGET_FORM: self.forget_me}

    async def start(self) -> None:
        await self.search.prepare()
        await self.exporting.start()
        await self.starboard.start()
        await self.forget_me.start()
        self.janitor.start()
        self._spawn(self._fill(), "history-fill")

    async def stop(self) -> None:
        await self.janitor.stop()
        await self.forget_me.stop()
        await self.starboard.stop()
        await self.exporting.stop()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _deleted(self, images: Sequence[Image]) -> None:
        self._spawn(self.thumbnails.discard([image.id for image in images]), "thumbnails-discard")

    async def _fill(self) -> None:
        try:
            await self.search.fill()
        except Exception:
            log.exception("old prompts were not all added to the search; the next start goes on")
