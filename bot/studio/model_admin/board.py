"""Adding models: downloads asked for from Discord, each with a card that follows it and a message at its end.

Cards and their downloads are stored, so that after a restart they go on where they were.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import discord

from bot.domain.amounts import size_text
from bot.domain.job import TokenGrant
from bot.domain.stewards import Steward
from bot.downloads import Download, Downloads, DownloadWish
from bot.downloads.fetch import FetchLimits
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.library import Library
from bot.storage.database import StorageFullError
from bot.storage.download_cards import DownloadCard, DownloadCards
from bot.studio.attachments import Attachments
from bot.studio.hidden import take_back
from bot.studio.intake import TOKEN_LIFE_S
from bot.studio.model_admin.card_post import CardPost
from bot.studio.model_admin.download_views import ended_card, progress_card
from bot.studio.model_admin.files import added_entry
from bot.studio.model_admin.room import Room
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.codec import Address
from bot.ui.door import say, sentence

__all__ = ["Addition", "DownloadBoard"]

log = logging.getLogger(__name__)

EDIT_EVERY_S = 2.0
"""Edits of one message are few: Discord takes about five in five seconds for a whole channel."""
RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Addition:
    """What somebody asked to add: wishes for links, and a file that came along."""

    wishes: Sequence[DownloadWish] = ()
    attachment: discord.Attachment | None = None
    attached: DownloadWish | None = None
    held: bool = False
    notes: Sequence[str] = ()
    """What the asker is told besides; the card is about what is under way."""


class DownloadBoard:
    def __init__(
        self,
        *,
        client: discord.Client,
        downloads: Downloads,
        cards: DownloadCards,
        library: Library,
        room: Room,
        stewards: Stewards,
        attachments: Attachments,
        folder: Path,
    ) -> None:
        """`folder` is the board's own: attachments lie there while they are fetched."""
        self._post = CardPost(client)
        self._downloads = downloads
        self._cards = cards
        self._library = library
        self._room = room
        self._stewards = stewards
        self._attachments = attachments
        self._folder = folder
        self._changed: set[str] = set()
        """Ids of downloads whose cards are to be looked at."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._posting = asyncio.Lock()
        self._next_edit: dict[str, float] = {}

    async def start(self) -> None:
        """After the downloads: goes on with the cards that an earlier life left."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._downloads.subscribe(self._noticed)
        for card_id in await self._cards.untold():
            card = await self._cards.get(card_id)
            self._changed.update(card.downloads if card else ())
        self._wake.set()
        self._task = asyncio.create_task(self._follow(), name="download-cards")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    # --- adding -------------------------------------------------------------------------------------------------------

    async def add(self, interaction: Interaction, steward: Steward, addition: Addition) -> None:
        """Answers with the card. What cannot be begun is told besides; where nothing can, that is the answer.

        Raises UserFacingError: those of `Room.require` and of the downloads.
        """
        size = addition.attachment.size if addition.attachment is not None else 0
        await self._room.require(steward, size)
        assert interaction.channel_id is not None, "whatever can be sent or pressed has a channel"
        await interaction.response.defer()
        folder = self._folder / str(interaction.id)
        try:
            await self._begin(interaction, steward, addition, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _begin(self, interaction: Interaction, steward: Steward, addition: Addition, folder: Path) -> None:
        assert interaction.channel_id is not None, "add refuses the others"
        texts = texts_for(str(interaction.locale))
        begun: list[Download] = []
        notes = [*addition.notes]
        refused: Exception | None = None
        attached: Path | None = None
        if addition.attachment is not None:
            try:
                attached = await self._fetched(addition.attachment, folder)
            except UserFacingError as error:
                refused = error
                notes.append("❌ " + sentence(texts, error, f"adding for interaction {interaction.id}"))
        card_id = await self._cards.add(
            DownloadCard(
                guild_id=interaction.guild_id or 0,
                channel_id=interaction.channel_id,
                user_id=steward.user_id,
                owner_id=steward.owner or 0,
                locale=str(interaction.locale),
                held=addition.held,
                grant=TokenGrant(interaction.token, interaction.created_at.timestamp() + TOKEN_LIFE_S),
            )
        )
        async with self._posting:  # no card is edited before it is there
            for wish in addition.wishes:
                try:
                    begun.append(await self._downloads.add(wish))
                    await self._cards.add_download(card_id, begun[-1].id)
                except (UserFacingError, StorageFullError) as error:
                    refused = error
                    notes.append("❌ " + sentence(texts, error, f"adding for interaction {interaction.id}"))
            if attached is not None and addition.attached is not None:
                try:
                    begun.append(await self._downloads.add_file(attached, addition.attached))
                    await self._cards.add_download(card_id, begun[-1].id)
                except (UserFacingError, StorageFullError) as error:
                    refused = error
                    notes.append("❌ " + sentence(texts, error, f"adding for interaction {interaction.id}"))
            if not begun:
                await self._cards.tell(card_id)
                await take_back(interaction)
                assert refused is not None
                raise refused
            view = progress_card(begun, steward.user_id, texts)
            try:
                message = await interaction.edit_original_response(view=view)
                await self._cards.set_message(card_id, message.id)
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                log.warning("downloads of card %s: its card failed (%s); the end is told all the same", card_id, error)
        for download in begun:
            self._noticed(download)
        if notes:
            with contextlib.suppress(discord.HTTPException):
                await say(interaction, "\n".join(notes))

    async def _fetched(self, attachment: discord.Attachment, folder: Path) -> Path:
        """Raises UserFacingError: those of `Attachments.save`, `download_no_room`, `download_disk`,
        `download_disk_full`."""

        def prepare() -> int:
            folder.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(folder).free

        try:
            free = await asyncio.to_thread(prepare)
            needed = attachment.size + FetchLimits().spare_bytes
            if free < needed:
                raise UserFacingError("download_no_room", needed=size_text(needed), free=size_text(free))
            await self._attachments.save(attachment, folder / "attachment")
        except OSError as error:
            log.warning("an attachment could not be kept: %s", error)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise UserFacingError("download_disk_full" if full else "download_disk") from error
        return folder / "attachment"

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """The cancel button. Raises UserFacingError: `download_gone`, `not_your_download`."""
        download = await self._downloads.get(address.id)
        if download is None:
            raise UserFacingError("download_gone")
        steward = self._stewards.presses(interaction)
        own = steward is not None and (steward.operator or steward.guild_id == download.wish.asked_in)
        if not own and interaction.user.id != download.wish.asked_by:
            raise UserFacingError("not_your_download")
        texts = texts_for(str(interaction.locale))
        # What was fetched is deleted meanwhile, and that may be gigabytes.
        await interaction.response.defer(ephemeral=True, thinking=True)
        stopped = await self._downloads.cancel(address.id)
        await say(interaction, texts("download.cancelling" if stopped else "download.too_late"))

    def of(self, steward: Steward) -> list[Download]:
        """Those under way that this steward has a say in."""
        return [
            download
            for download in self._downloads.active()
            if steward.operator or download.wish.asked_in == steward.guild_id
        ]

    async def show(self, interaction: Interaction, steward: Steward) -> None:
        texts = texts_for(str(interaction.locale))
        found = self.of(steward)
        if not found:
            await say(interaction, texts("download.none"))
            return
        await interaction.response.send_message(view=progress_card(found, steward.user_id, texts), ephemeral=True)

    # --- following ----------------------------------------------------------------------------------------------------

    def _noticed(self, download: Download) -> None:
        self._changed.add(download.id)
        self._wake.set()

    async def _follow(self) -> None:
        dirty: set[str] = set()
        while True:
            if not dirty:
                await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, set()
            try:
                for download_id in changed:
                    if card_id := await self._cards.card_of(download_id):
                        dirty.add(card_id)
            except Exception:
                log.exception("the cards of downloads could not be looked up; it is tried again")
                self._changed |= changed
                self._wake.set()
                await asyncio.sleep(EDIT_EVERY_S)
            for card_id in [id_ for id_ in dirty if self._next_edit.get(id_, 0.0) <= time.monotonic()]:
                self._next_edit[card_id] = time.monotonic() + EDIT_EVERY_S
                try:
                    if await self._renew(card_id):
                        del self._next_edit[card_id]
                    dirty.discard(card_id)
                except Exception:
                    log.exception("the card %s of downloads could not be renewed; it is tried again", card_id)
                    self._next_edit[card_id] = time.monotonic() + RETRY_S
            await asyncio.sleep(EDIT_EVERY_S / 4)

    async def _renew(self, card_id: str) -> bool:
        """Whether that was the last time."""
        async with self._posting:
            card = await self._cards.get(card_id)
        if card is None or card.told:
            return True
        found = [await self._downloads.get(id_) for id_ in card.downloads]
        downloads = [download for download in found if download is not None]
        for download in downloads:
            if download.state == "done":
                await self._settle(card, download)
        await self._post.edit(card, progress_card(downloads, card.user_id, texts_for(card.locale)))
        over = all(download.ended for download in downloads)
        if over:
            await self._tell(card, downloads)
        return over

    async def _settle(self, card: DownloadCard, download: Download) -> None:
        """Once for each: written down in the log."""
        steward = Steward(card.user_id, card.guild_id or None, operator=card.owner_id == 0)
        files = [file for id_ in download.file_ids if (file := self._library.get(id_)) is not None]
        await self._cards.settle(download.id, [added_entry(steward, file) for file in files])

    async def _tell(self, card: DownloadCard, downloads: Sequence[Download]) -> None:
        """A message of its own, because an edit is noticed by nobody; a cancelled download is no news."""
        texts = texts_for(card.locale)
        if any(download.state != "cancelled" for download in downloads):
            ids = {id_ for download in downloads for id_ in download.file_ids}
            files = {id_: file for id_ in ids if (file := self._library.get(id_)) is not None}
            space = await self._room.of_owner(card.owner_id or None)
            warning = texts("model_admin.over_budget") if space.over_budget else ""
            warning = warning or (texts("model_admin.near_budget") if space.budget_near else "")
            view = ended_card(downloads, files, card.user_id, texts, held=card.held, warning=warning)
            await self._post.send(card, view)
        await self._cards.tell(card.id)
