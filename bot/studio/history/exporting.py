"""Exports: a card that counts up, parts small enough to be sent, and a bot that may die in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import discord

from bot.delivery.ladder import DEFAULT_LIMIT_BYTES, REQUEST_LIMIT_BYTES
from bot.delivery.post import TOKEN_MARGIN_S
from bot.domain.ids import ChannelId, GuildId, ImageId, UserId
from bot.domain.job import TokenGrant
from bot.domain.packing import parts_of
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.exports import Export, Exports
from bot.storage.history import History, Span
from bot.storage.images import Images
from bot.studio.history.export_card import export_card
from bot.studio.history.packing import Entry, part_path, write_part
from bot.studio.intake import TOKEN_LIFE_S, Intake
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.selects import chosen_value

__all__ = ["EXPORT_VERBS", "Exporting"]

log = logging.getLogger(__name__)

EXPORT_VERBS = (Verb.EXPORT_PART, Verb.EXPORT_CANCEL)
PARTS_MAX = 100
"""Of one export: 1 GB where Discord takes 10 MB."""
MARGIN_BYTES = 64 * 1024
"""What a request needs beside the file."""
DISK_LEFT_BYTES = 2 * 2**30
EDIT_EVERY_S = 2.0
RETRY_S = 30.0


class Exporting:
    def __init__(
        self,
        *,
        client: discord.Client,
        exports: Exports,
        history: History,
        images: Images,
        intake: Intake,
        folder: Path,
    ) -> None:
        self._intake = intake
        self._client = client
        self._exports = exports
        self._history = history
        self._images = images
        self._folder = folder
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Goes on with what an earlier life left."""
        await self.sweep()
        self._wake.set()
        self._task = asyncio.create_task(self._work(), name="exports")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def begin(self, interaction: Interaction, images: Sequence[ImageId]) -> None:
        """Answers with the export's card, which only the user sees. Raises UserFacingError: `export_empty`,
        `export_busy`, `export_disk`."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        user_id = UserId(interaction.user.id)
        part_bytes = min(interaction.filesize_limit or DEFAULT_LIMIT_BYTES, REQUEST_LIMIT_BYTES) - MARGIN_BYTES
        # What may not be seen here may not be taken from here, either.
        veiled = await self._intake.veiled(images, where_of(interaction))
        found = await self._history.these(Span(user_id, user_id), images)
        shots = [shot for shot in found if not shot.pruned and shot.id not in veiled]
        sizes = [shot.size_bytes for shot in shots]
        parts = parts_of(sizes, part_bytes)[:PARTS_MAX]
        taken = [shots[one.index].id for part in parts for one in part]
        if not taken:
            raise UserFacingError("export_empty")
        if not await asyncio.to_thread(self._has_room, min(sum(sizes), len(parts) * part_bytes)):
            raise UserFacingError("export_disk")
        export = await self._exports.add(
            user_id=user_id,
            guild_id=GuildId(interaction.guild_id) if interaction.guild_id is not None else None,
            channel_id=ChannelId(interaction.channel_id or 0),
            locale=str(interaction.locale),
            grant=TokenGrant(interaction.token, interaction.created_at.timestamp() + TOKEN_LIFE_S),
            images=taken,
            part_bytes=part_bytes,
        )
        if export is None:
            raise UserFacingError("export_busy")
        await interaction.edit_original_response(view=export_card(export, left_out=len(images) - len(taken)))
        self._wake.set()

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `export_unknown`, `export_part_gone`."""
        export = await self._exports.get(address.id)
        if export is None or export.user_id != interaction.user.id:
            raise UserFacingError("export_unknown")
        if address.verb == Verb.EXPORT_CANCEL:
            await interaction.response.defer()
            ended = await self._exports.end(export.id, "cancelled")
            if ended is not None:
                await self._exports.told(export.id)
                await asyncio.to_thread(shutil.rmtree, self._folder / export.id, ignore_errors=True)
                export = ended
            await interaction.edit_original_response(view=export_card(export))
            return
        chosen = chosen_value(interaction)  # of a list; a button says it itself
        number = int(chosen) if chosen.isdecimal() else address.n
        if number is None:
            await interaction.response.send_message(view=export_card(export), ephemeral=True)
            return
        await self._hand_out(interaction, export, number)

    async def ready_of(self, user_id: UserId) -> Export | None:
        """The newest of this person's exports."""
        found = [export for id_ in await self._exports.of(user_id) if (export := await self._exports.get(id_))]
        return max((one for one in found if one.state != "cancelled"), key=lambda one: one.created_at, default=None)

    async def sweep(self) -> None:
        """Removes the files of exports that are over, and what no row knows."""
        await self._exports.drop_old()
        known = await self._exports.all_ids()
        await asyncio.to_thread(_remove_others, self._folder, known)

    async def forget(self, user_id: UserId) -> None:
        """Stops this person's exports and removes their files; the rows are forgotten elsewhere."""
        for id_ in await self._exports.of(user_id):
            await self._exports.end(id_, "cancelled")
            await self._exports.told(id_)
            await asyncio.to_thread(shutil.rmtree, self._folder / id_, ignore_errors=True)

    # --- the work -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while (export := await self._exports.next()) is not None:
                    await self._pack(export)
                for export in await self._exports.untold():
                    await self._tell(export)
            except Exception:
                log.exception("exports wait for a while")
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _pack(self, export: Export) -> None:
        if not await self._exports.begin(export.id):
            return
        folder = self._folder / export.id
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        span = Span(export.user_id, export.user_id)
        shots = await self._history.these(span, export.images)
        parts = parts_of([shot.size_bytes for shot in shots], export.part_bytes)
        done = packed = 0
        missing = len(export.images) - len(shots)
        edited = time.monotonic()
        try:
            for part in parts:
                entries: list[Entry] = []
                for one in part:
                    shot = shots[one.index]
                    image = await self._images.get(shot.id)
                    text = image.infotext if image is not None else ""
                    entries.append(Entry(shot, self._images.file_at(shot.path), text, one.fits))
                written = await asyncio.to_thread(write_part, folder, done + 1, entries, export.part_bytes)
                done += bool(written)
                packed += written
                missing += len(part) - written
                if not await self._exports.progressed(export.id, packed, missing, done):
                    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                    return  # cancelled meanwhile
                if time.monotonic() - edited > EDIT_EVERY_S and part is not parts[-1]:
                    edited = time.monotonic()
                    with contextlib.suppress(discord.HTTPException):  # no reason to stop packing
                        await self._edit(await self._exports.get(export.id) or export)
        except OSError:
            log.exception("export %s could not be packed", export.id)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            await self._exports.end(export.id, "failed")
            return
        await self._exports.end(export.id, "ready" if packed else "failed")

    async def _tell(self, export: Export) -> None:
        """By the card while its token lives, else by direct message; where neither works it waits in /history."""
        if not await self._edit(export) and export.state != "cancelled":
            texts = texts_for(export.locale)
            try:
                user = await self._client.fetch_user(export.user_id)
                # Its nonce: where only Discord's answer is lost, the next try sends no second one.
                await user.send(view=export_card(export, head=texts("export.direct_ready")), nonce=export.id)
            except (discord.Forbidden, discord.NotFound):
                log.info("export %s waits in its user's history", export.id)
        await self._exports.told(export.id)

    async def _edit(self, export: Export) -> bool:
        """Whether the card shows it. Raises for trouble that may pass."""
        grant = export.grant
        if grant is None or grant.expires_at - TOKEN_MARGIN_S < time.time() or self._client.application_id is None:
            return False
        webhook = discord.Webhook.partial(self._client.application_id, grant.token, client=self._client)
        original: int = "@original"  # type: ignore[assignment]
        files: list[discord.File] = []
        if export.state == "ready" and export.parts == 1:
            with contextlib.suppress(OSError):
                files.append(await asyncio.to_thread(self._file, export, 1))
        try:
            card = export_card(export, attached=files[0].filename if files else None)
            await webhook.edit_message(original, view=card, attachments=files)
        except discord.HTTPException as error:
            if files and (error.status == 413 or error.code == 40005):
                await webhook.edit_message(original, view=export_card(export), attachments=[])
                return True
            if error.status >= 500:
                raise
            log.info("the card of export %s cannot be reached: %s", export.id, error)
            return False
        except (aiohttp.ClientError, OSError) as error:
            log.info("the card of export %s could not be edited: %s", export.id, error)
            return False
        return True

    async def _hand_out(self, interaction: Interaction, export: Export, number: int) -> None:
        if not 1 <= number <= export.parts:
            raise UserFacingError("export_part_gone")
        if await self._intake.veiled(export.images, where_of(interaction)):
            # It was asked for where more may be shown than here.
            raise UserFacingError("export_elsewhere")
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            file = await asyncio.to_thread(self._file, export, number)
        except OSError as error:
            raise UserFacingError("export_unknown") from error
        texts = texts_for(str(interaction.locale))
        text = texts("export.part_content", n=number, parts=export.parts)
        try:
            await interaction.followup.send(text, file=file, ephemeral=True)
        except discord.HTTPException as error:
            if error.status != 413 and error.code != 40005:
                raise
            raise UserFacingError("export_part_large") from error

    def _file(self, export: Export, number: int) -> discord.File:
        day = time.strftime("%Y-%m-%d", time.gmtime(export.created_at))
        return discord.File(part_path(self._folder / export.id, number), f"pincel-{day}-{number}-of-{export.parts}.zip")

    def _has_room(self, wanted_bytes: int) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self._folder).free - wanted_bytes > DISK_LEFT_BYTES


def _remove_others(folder: Path, known: set[str]) -> None:
    if folder.is_dir():
        for found in folder.iterdir():
            if found.name not in known:
                shutil.rmtree(found, ignore_errors=True)
