"""What admins ask about: who did what, what nobody uses, how full the disk is; and the buttons below those answers."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import discord

from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.library import Library
from bot.storage.model_audit import ModelAudit
from bot.studio.model_admin.files import ModelFiles
from bot.studio.model_admin.reports import AUDIT_PAGE, audit_card, space_card, unused, unused_card
from bot.studio.model_admin.room import Room
from bot.studio.model_admin.telling import answer, texts_of, wait
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.door import say

__all__ = ["REPORT_VERBS", "Reporting"]

REPORT_VERBS = (Verb.MODEL_AUDIT, Verb.MODEL_UNUSED, Verb.TRASH_EMPTY)


class Reporting:
    def __init__(
        self,
        *,
        library: Library,
        files: ModelFiles,
        audit: ModelAudit,
        room: Room,
        stewards: Stewards,
        models_dir: Path,
    ) -> None:
        self._library = library
        self._files = files
        self._audit = audit
        self._room = room
        self._stewards = stewards
        self._models_dir = models_dir

    async def audit(self, interaction: Interaction) -> None:
        steward = self._stewards.commanding(interaction)
        await answer(interaction, await self.audit_page(steward, 0, texts_of(interaction)))

    async def unused(self, interaction: Interaction, days: int) -> None:
        steward = self._stewards.commanding(interaction)
        await answer(interaction, self._unused_page(steward, days, 0, texts_of(interaction)))

    async def disk(self, interaction: Interaction) -> None:
        steward = self._stewards.commanding(interaction)
        await wait(interaction)
        await interaction.edit_original_response(view=await self._disk_card(steward, texts_of(interaction)))

    async def _disk_card(self, steward: Steward, texts: Texts) -> discord.ui.LayoutView:
        free = await asyncio.to_thread(_free_bytes, self._models_dir) if steward.operator else None
        return space_card(await self._room.of(steward), steward.owner, free, texts)

    async def _empty_trash(self, interaction: Interaction, steward: Steward) -> None:
        """A server's admins empty what their server had added, the operator everything."""
        texts = texts_of(interaction)
        await interaction.response.defer()
        deleted = await self._files.empty_trash(steward)
        await interaction.edit_original_response(view=await self._disk_card(steward, texts))
        await say(interaction, texts("model_admin.trash_emptied", n=deleted))

    async def audit_page(self, steward: Steward, number: int, texts: Texts) -> discord.ui.LayoutView:
        guild_id = None if steward.operator else steward.guild_id
        entries, total = await self._audit.page(guild_id, number, AUDIT_PAGE)
        kept = await self._library.trashed()
        undoable = {
            entry.undo_id
            for entry in entries
            if entry.undo_id in kept and self._files.may_undo(entry, steward, steward.user_id)
        }
        return audit_card(entries, total, number, guild_id, texts, undoable=undoable)

    def _unused_page(self, steward: Steward, days: int, number: int, texts: Texts) -> discord.ui.LayoutView:
        """A server's admins see what they could remove."""
        files = [file for file in self._library.files() if steward.may_touch(file)]
        return unused_card(unused(files, days, time.time()), number, days, texts)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `admins_only`, `button_unknown`."""
        steward, texts = self._stewards.pressing(interaction), texts_of(interaction)
        match address.verb:
            case Verb.MODEL_AUDIT:
                view = await self.audit_page(steward, address.n or 0, texts)
                await interaction.response.edit_message(view=view)
            case Verb.MODEL_UNUSED if address.id.isdecimal():
                view = self._unused_page(steward, int(address.id), address.n or 0, texts)
                await interaction.response.edit_message(view=view)
            case Verb.TRASH_EMPTY:
                await self._empty_trash(interaction, steward)
            case _:
                raise UserFacingError("button_unknown")


def _free_bytes(folder: Path) -> int | None:
    """On the disk that `folder` is on, or will be."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None
