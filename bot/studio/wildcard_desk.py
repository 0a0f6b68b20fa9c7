"""/wildcards: what there is, for everybody; what a server brings itself, for those who look after it."""

from __future__ import annotations

import asyncio
import re
import secrets
from pathlib import Path

import discord

from bot.domain.mentions import neutral, spoken
from bot.dynamic.wildcards import SERVERS, SUFFIXES, WildcardBook, read_values
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.studio.attachments import Attachments
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.door import TEXT_LIMIT, say

__all__ = ["WildcardDesk"]

FILE_BYTES_MAX = 256 << 10
FILES_MAX = 100
"""Of one server."""
VALUES_SHOWN = 25
VALUE_CHARS = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .-]{0,60}")
"""No underscore, for two of them end a wildcard; nothing that leads elsewhere."""


class WildcardDesk:
    def __init__(self, book: WildcardBook, attachments: Attachments, stewards: Stewards) -> None:
        self._book = book
        self._attachments = attachments
        self._stewards = stewards

    async def show(self, interaction: Interaction, name: str | None) -> None:
        """All names with how many values each has, or those that hold `name`, or the values of just that one.

        Raises UserFacingError (`wildcard_none`).
        """
        texts = texts_for(str(interaction.locale))
        values = await asyncio.to_thread(self._book.values, interaction.guild_id)
        wanted = (name or "").strip().strip("_")
        entries = values.get(wanted)
        if entries is not None:
            lines = [texts("wildcards.one", name=neutral(wanted), n=len(entries))]
            lines += [f"- {neutral(text, VALUE_CHARS)}" for text, _ in entries[:VALUES_SHOWN]]
            if len(entries) > VALUES_SHOWN:
                lines.append(texts("wildcards.more", n=len(entries) - VALUES_SHOWN))
        else:
            close = {found: of for found, of in sorted(values.items()) if wanted.casefold() in found.casefold()}
            if wanted and not close:
                raise UserFacingError("wildcard_none", name=spoken(wanted))
            lines = [texts("wildcards.title", n=len(close))]
            lines += [f"`__{found}__` · {len(of)}" for found, of in close.items()]
        await say(interaction, _fitting(lines))

    async def add(self, interaction: Interaction, file: discord.Attachment) -> None:
        """Raises UserFacingError: `admins_only`, `wildcards_in_server`, `wildcard_file_…`, those of
        `Attachments.save`."""
        folder = self._own(interaction)
        name = file.filename.replace("_", "-")
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES or not _NAME.fullmatch(name):
            raise UserFacingError("wildcard_file_kind", name=spoken(file.filename))
        if file.size > FILE_BYTES_MAX:
            raise UserFacingError("wildcard_file_large", limit_kb=FILE_BYTES_MAX >> 10)
        await interaction.response.defer(ephemeral=True)
        waiting = folder / f".{secrets.token_hex(8)}{suffix}"
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        try:
            await self._attachments.save(file, waiting)
            found = await asyncio.to_thread(_kept, waiting, folder / name)
        finally:
            await asyncio.to_thread(waiting.unlink, missing_ok=True)
        texts = texts_for(str(interaction.locale))
        shown = ", ".join(f"`__{one}__`" for one in found[:10])
        await say(interaction, texts("wildcards.added", names=shown, n=len(found)))

    async def remove(self, interaction: Interaction, file: str) -> None:
        """Raises UserFacingError: `admins_only`, `wildcards_in_server`, `wildcard_file_none`."""
        folder = self._own(interaction)
        if file not in await self.files(interaction):
            raise UserFacingError("wildcard_file_none", name=spoken(file))
        await asyncio.to_thread((folder / file).unlink, missing_ok=True)
        await say(interaction, texts_for(str(interaction.locale))("wildcards.removed", name=neutral(file)))

    async def files(self, interaction: Interaction) -> list[str]:
        """Those that this server's admins added."""
        if interaction.guild_id is None:
            return []
        return await asyncio.to_thread(_files, self._book.folder / SERVERS / str(interaction.guild_id))

    def _own(self, interaction: Interaction) -> Path:
        self._stewards.managing(interaction)
        if interaction.guild_id is None:
            raise UserFacingError("wildcards_in_server")
        return self._book.folder / SERVERS / str(interaction.guild_id)


def _files(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError:
        return []


def _kept(waiting: Path, path: Path) -> list[str]:
    """The names that the file brings; it is put in its place only where it brings any."""
    found = read_values(waiting, waiting.parent)
    if not found:
        raise UserFacingError("wildcard_file_empty", name=spoken(path.name))
    if not path.exists() and len(_files(path.parent)) >= FILES_MAX:
        raise UserFacingError("wildcard_files_many", limit=FILES_MAX)
    waiting.replace(path)
    return sorted(read_values(path, path.parent))


def _fitting(lines: list[str]) -> str:
    """As many lines as a message holds."""
    kept: list[str] = []
    left = TEXT_LIMIT - 20
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            kept.append(f"… (+{len(lines) - len(kept)})")
            break
        kept.append(line)
    return "\n".join(kept)
