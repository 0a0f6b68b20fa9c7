"""What each sub-command of /model-admin answers, and each button below those answers.

Whoever gets here may administer: `Stewards` tells whether as a server's admin or as the operator.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord

from bot.catalogue import Catalogue
from bot.domain.mentions import neutral, spoken
from bot.domain.model_rules import EVERYWHERE, ModelDefaults
from bot.domain.shelves import base_of
from bot.domain.stewards import Steward
from bot.downloads import DownloadWish
from bot.downloads.links import parse_links
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.library import Library, LibraryFile, ScanProgress
from bot.storage.model_audit import ModelAudit
from bot.studio.attachments import Attachments
from bot.studio.model_admin.board import Addition, DownloadBoard
from bot.studio.model_admin.files import ModelFiles
from bot.studio.model_admin.makings import Makings
from bot.studio.model_admin.reports import (
    AUDIT_PAGE,
    audit_card,
    defaults_text,
    plain_card,
    rules_text,
    space_card,
    unused,
    unused_card,
)
from bot.studio.model_admin.room import Room
from bot.studio.model_admin.ruling import Ruling, Target
from bot.studio.model_admin.trials import Trials
from bot.studio.shelf_cards import facts_of, name_line
from bot.studio.shelves import PREVIEW_PX, pictures_of
from bot.studio.stewards import Stewards
from bot.studio.where import where_of
from bot.ui.buttons import AddressButton, button
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say
from gpu_worker.protocol.messages import ModelKind

__all__ = ["ADMIN_VERBS", "ModelAdmin"]

ADMIN_VERBS = (
    Verb.MODEL_UNDO, Verb.MODEL_TEST, Verb.MODEL_ENABLE, Verb.TEST_ENABLE, Verb.MODEL_AUDIT, Verb.MODEL_UNUSED,
    Verb.TRASH_EMPTY,
)  # fmt: skip
EDIT_EVERY_S = 1.5
LINKS_MAX = 10
"""In one command: a card shows as many with their buttons."""


class ModelAdmin:
    def __init__(
        self,
        *,
        library: Library,
        files: ModelFiles,
        ruling: Ruling,
        trials: Trials,
        room: Room,
        board: DownloadBoard,
        makings: Makings,
        catalogue: Callable[[], Catalogue],
        audit: ModelAudit,
        stewards: Stewards,
        attachments: Attachments,
        models_dir: Path,
    ) -> None:
        self.files = files
        self.ruling = ruling
        self.room = room
        self.stewards = stewards
        self.board = board
        self.makings = makings
        self.catalogue = catalogue
        self._library = library
        self._trials = trials
        self._audit = audit
        self._attachments = attachments
        self._models_dir = models_dir

    # --- adding -------------------------------------------------------------------------------------------------------

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
        steward = self.stewards.commanding(interaction)
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
        await self.board.add(interaction, steward, addition)

    async def install(self, interaction: Interaction, names: str, *, hold: bool) -> None:
        """From the catalogue. Raises UserFacingError: `catalogue_unknown`, `catalogue_unverified`, those of the
        board."""
        steward = self.stewards.commanding(interaction)
        entries = self.catalogue().find([word for word in re.split(r"[\s,;]+", names) if word])
        ready = [entry for entry in entries if entry.installable]
        if not ready:
            raise UserFacingError("catalogue_unverified", name=spoken(names))
        if len(ready) > LINKS_MAX:
            raise UserFacingError("add_too_many", limit=LINKS_MAX)
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
            )
            for entry in ready
        ]
        await self.board.add(interaction, steward, Addition(wishes=wishes, held=hold))

    async def downloads(self, interaction: Interaction) -> None:
        await self.board.show(interaction, self.stewards.commanding(interaction))

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

    # --- files --------------------------------------------------------------------------------------------------------

    async def remove(self, interaction: Interaction, model: str) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        await _wait(interaction)
        file, undo_id = await self.files.remove(model, steward)
        text = texts("model_admin.removed", name=spoken(file.name))
        undo = button(Verb.MODEL_UNDO, undo_id, texts("model_admin.undo"), emoji="↩️")
        await _answer(interaction, plain_card(text, [undo]))

    async def rename(self, interaction: Interaction, model: str, name: str) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        await _wait(interaction)
        before, after = await self.files.rename(model, name, steward)
        await say(interaction, texts("model_admin.renamed", name=spoken(before.name), new_name=spoken(after.name)))

    async def note(self, interaction: Interaction, model: str, text: str) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        await _wait(interaction)
        file = await self.files.note(model, text, steward)
        key = "model_admin.noted" if file.note else "model_admin.note_gone"
        await say(interaction, texts(key, name=spoken(file.name)))

    async def preview(self, interaction: Interaction, model: str, picture: discord.Attachment | None) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        self.files.theirs(model, steward)
        data = b""
        if picture is not None:
            self._attachments.check(picture)
        await _wait(interaction)
        if picture is not None:
            data = await self._attachments.fetch(picture)
        file = await self.files.preview(model, data, steward)
        key = "model_admin.previewed" if picture is not None else "model_admin.preview_gone"
        await say(interaction, texts(key, name=spoken(file.name)))

    async def info(self, interaction: Interaction, model: str) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        file = self.files.named(model)
        await _wait(interaction)
        favourite = file.id in self.ruling.favourites(interaction.guild_id)
        text = f"### {name_line(file, favourite=favourite)}\n{facts_of(file, texts, full=True)}"
        if steward.operator:
            text += f"\n-# `{neutral(str(file.path), 200)}`"
        rules = self.ruling.said(steward, file)
        if rules:
            text += "\n" + rules_text(rules, {file.id: file.name}, texts)
        buttons: list[AddressButton] = []
        if file.problem is None:
            buttons.append(button(Verb.MODEL_TEST, file.id, texts("model_admin.test"), emoji="🧪"))
        if not self.ruling.enabled(file, where_of(interaction)):
            buttons.append(button(Verb.MODEL_ENABLE, file.id, texts("button.enable"), emoji="✅"))
        names, pictures = await asyncio.to_thread(pictures_of, [file], PREVIEW_PX)
        view = plain_card(text, buttons, picture=names.get(file.id))
        await interaction.edit_original_response(view=view, attachments=pictures)

    async def refresh(self, interaction: Interaction) -> None:
        self.stewards.commanding(interaction)
        texts = _texts(interaction)
        await interaction.response.send_message(texts("model_admin.refreshing"), ephemeral=True)
        progress = _Progress()
        scan = asyncio.create_task(self._library.refresh(progress.report), name="refresh-by-admin")
        while not (await asyncio.wait([scan], timeout=EDIT_EVERY_S))[0]:
            if (at := progress.newest) is not None and at.total:
                text = texts("model_admin.refreshing_at", done=at.done, total=at.total)
                with contextlib.suppress(discord.HTTPException):
                    await interaction.edit_original_response(content=text)
        report = await scan
        lines = [
            texts(
                "model_admin.refreshed",
                n=report.total,
                added=len(report.added),
                changed=len(report.changed),
                removed=len(report.removed),
            )
        ]
        if report.unusable:
            lines.append("⚠️ " + texts("model_admin.refreshed_unusable", n=report.unusable))
        await interaction.edit_original_response(content="\n".join(lines))

    # --- rules --------------------------------------------------------------------------------------------------------

    async def allow(
        self,
        interaction: Interaction,
        model: str,
        *,
        enabled: bool,
        channel_id: int | None,
        role_id: int | None,
        everywhere: bool,
    ) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        file = self.files.named(model)
        target = Target(steward, channel_id=channel_id, role_id=role_id, everywhere=everywhere)
        await _wait(interaction)
        lifted = await self.ruling.allow(file, steward, target, enabled=enabled)
        place = (
            texts("model_admin.place_everywhere")
            if target.guild_id == EVERYWHERE
            else target.mention or texts("model_admin.place_server")
        )
        key = "model_admin.enabled" if enabled else "model_admin.disabled"
        text = texts(key, name=spoken(file.name), place=place)
        await say(interaction, text + (" " + texts("model_admin.lifted") if lifted else ""))

    async def rules(self, interaction: Interaction, model: str | None, *, clear: bool) -> None:
        """Raises UserFacingError: `rules_clear_which`."""
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        file = self.files.named(model) if model is not None else None
        if clear:
            if file is None:
                raise UserFacingError("rules_clear_which")
            n = await self.ruling.clear(file, steward)
            await say(interaction, texts("model_admin.rules_cleared", n=n, name=spoken(file.name)))
            return
        names = {found.id: found.name for found in self._library.files()}
        await _answer(interaction, plain_card(rules_text(self.ruling.said(steward, file), names, texts)))

    async def favourite(self, interaction: Interaction, model: str, *, on: bool) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        file = self.files.named(model)
        await self.ruling.favourite(file, steward, on=on)
        key = "model_admin.favourite" if on else "model_admin.unfavourite"
        await say(interaction, texts(key, name=spoken(file.name)))

    async def defaults(
        self, interaction: Interaction, wanted: ModelDefaults, *, channel_id: int | None, clear: bool
    ) -> None:
        steward, texts = self.stewards.commanding(interaction), _texts(interaction)
        if wanted.empty and not clear:
            now = self.ruling.defaults(steward, channel_id)
        else:
            now = await self.ruling.set_defaults(steward, where_of(interaction), channel_id, wanted, clear=clear)
        place = f"<#{channel_id}>" if channel_id else ""
        await _answer(interaction, plain_card(defaults_text(now, place, texts)))

    # --- reports ------------------------------------------------------------------------------------------------------

    async def audit(self, interaction: Interaction) -> None:
        steward = self.stewards.commanding(interaction)
        await _answer(interaction, await self._audit_page(steward, 0, _texts(interaction)))

    async def unused(self, interaction: Interaction, days: int) -> None:
        steward = self.stewards.commanding(interaction)
        await _answer(interaction, self._unused_page(steward, days, 0, _texts(interaction)))

    async def disk(self, interaction: Interaction) -> None:
        steward = self.stewards.commanding(interaction)
        await _wait(interaction)
        await interaction.edit_original_response(view=await self._disk_card(steward, _texts(interaction)))

    async def test(self, interaction: Interaction, model: str) -> None:
        steward = self.stewards.commanding(interaction)
        await self._trials.draw(interaction, self.files.named(model), steward)

    async def _disk_card(self, steward: Steward, texts: Texts) -> discord.ui.LayoutView:
        free = await asyncio.to_thread(_free_bytes, self._models_dir) if steward.operator else None
        return space_card(await self.room.of(steward), steward.owner, free, texts)

    async def _empty_trash(self, interaction: Interaction, steward: Steward) -> None:
        """A server's admins empty what their server had added, the operator everything."""
        texts = _texts(interaction)
        await interaction.response.defer()
        deleted = await self.files.empty_trash(steward)
        await interaction.edit_original_response(view=await self._disk_card(steward, texts))
        await say(interaction, texts("model_admin.trash_emptied", n=deleted))

    async def _audit_page(self, steward: Steward, number: int, texts: Texts) -> discord.ui.LayoutView:
        guild_id = None if steward.operator else steward.guild_id
        entries, total = await self._audit.page(guild_id, number, AUDIT_PAGE)
        kept = await self._library.trashed()
        undoable = {
            entry.undo_id
            for entry in entries
            if entry.undo_id in kept and self.files.may_undo(entry, steward, steward.user_id)
        }
        return audit_card(entries, total, number, guild_id, texts, undoable=undoable)

    def _unused_page(self, steward: Steward, days: int, number: int, texts: Texts) -> discord.ui.LayoutView:
        """A server's admins see what they could remove."""
        files = [file for file in self._library.files() if steward.may_touch(file)]
        return unused_card(unused(files, days, time.time()), number, days, texts)

    # --- buttons ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        texts = _texts(interaction)
        match address.verb:
            case Verb.MODEL_UNDO:
                await self._undo(interaction, address)
            case Verb.MODEL_TEST:
                await self._trials.draw(interaction, self._file(address.id), self.stewards.pressing(interaction))
            case Verb.MODEL_ENABLE:
                await self._enable(interaction, self._file(address.id))
            case Verb.TEST_ENABLE:
                self.stewards.pressing(interaction)
                test = await self._audit.test(address.id)
                if test is None:
                    raise UserFacingError("model_gone")
                await self._enable(interaction, self._file(test.file_id))
            case Verb.MODEL_AUDIT:
                steward = self.stewards.pressing(interaction)
                view = await self._audit_page(steward, address.n or 0, texts)
                await interaction.response.edit_message(view=view)
            case Verb.MODEL_UNUSED if address.id.isdecimal():
                steward = self.stewards.pressing(interaction)
                view = self._unused_page(steward, int(address.id), address.n or 0, texts)
                await interaction.response.edit_message(view=view)
            case Verb.TRASH_EMPTY:
                await self._empty_trash(interaction, self.stewards.pressing(interaction))
            case _:
                raise UserFacingError("button_unknown")

    async def _undo(self, interaction: Interaction, address: Address) -> None:
        """Below a removal's answer, or on the page `n` of the log, which shows it then."""
        texts, steward = _texts(interaction), self.stewards.presses(interaction)
        await interaction.response.defer()
        file = await self.files.undo(address.id, steward, interaction.user.id)
        text = texts("model_admin.restored", name=spoken(file.name))
        if address.n is None:
            await interaction.edit_original_response(view=plain_card(text))
            return
        if steward is not None:
            await interaction.edit_original_response(view=await self._audit_page(steward, address.n, texts))
        await say(interaction, text)

    async def _enable(self, interaction: Interaction, file: LibraryFile) -> None:
        texts = _texts(interaction)
        steward = self.stewards.pressing(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.ruling.enable(file, steward)
        place = texts("model_admin.place_everywhere" if steward.place == EVERYWHERE else "model_admin.place_server")
        await say(interaction, texts("model_admin.enabled", name=spoken(file.name), place=place))

    def _file(self, id_: str) -> LibraryFile:
        file = self._library.get(id_)
        if file is None:
            raise UserFacingError("model_gone")
        return file

    # --- autocomplete -------------------------------------------------------------------------------------------------

    def rows(self, steward: Steward | None, *, own: bool) -> list[LibraryFile]:
        """Files that a steward may choose; with `own` those alone that they may change."""
        files = self._library.files()
        return [file for file in files if not own or (steward is not None and steward.may_touch(file))]

    @staticmethod
    def row_text(file: LibraryFile, texts: Texts) -> str:
        parts = (file.name, texts(f"kind.{file.kind}"), base_of(file))
        return " · ".join(filter(None, parts))


class _Progress:
    """The newest word of a scan, which may come from another thread."""

    def __init__(self) -> None:
        self.newest: ScanProgress | None = None

    def report(self, progress: ScanProgress) -> None:
        self.newest = progress


async def _wait(interaction: Interaction) -> None:
    """Before whatever waits for other changes of files: those may move gigabytes, and Discord waits three seconds."""
    await interaction.response.defer(ephemeral=True)


async def _answer(interaction: Interaction, view: discord.ui.LayoutView) -> None:
    """For the asker's eyes alone."""
    if interaction.response.is_done():
        await interaction.followup.send(view=view, ephemeral=True)
    else:
        await interaction.response.send_message(view=view, ephemeral=True)


def _texts(interaction: Interaction) -> Texts:
    return texts_for(str(interaction.locale))


def _free_bytes(folder: Path) -> int | None:
    """On the disk that `folder` is on, or will be."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None
