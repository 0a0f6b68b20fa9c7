"""/prompt-log: what was asked for, as CSV or JSON lines, for the operator alone; each export is written down."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import discord

from bot.domain.amounts import size_text
from bot.domain.ids import new_job_id
from bot.domain.moments import moment
from bot.domain.typed_ids import server_id
from bot.errors import UserFacingError
from bot.storage.administration import AdminAudit
from bot.storage.prompt_log import ROWS_MAX, LogFilter, LogFormat, Written, write_log
from bot.studio.model_admin.telling import texts_of
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from bot.ui.door import say

__all__ = ["PromptExports"]

log = logging.getLogger(__name__)

MARGIN_BYTES = 64 * 1024
"""Of an upload: the request has more in it than the file."""


class PromptExports:
    def __init__(self, *, database_path: Path, folder: Path, audit: AdminAudit, stewards: Stewards) -> None:
        self._database = database_path
        self._folder = folder
        self._audit = audit
        self._stewards = stewards
        self._turn = asyncio.Lock()

    async def command(
        self,
        interaction: Interaction,
        form: LogFormat,
        *,
        since: str | None,
        until: str | None,
        user_id: int | None,
        server: str | None,
        contains: str | None,
    ) -> None:
        """Raises UserFacingError (`operator_alone`, `moment_unreadable`, `server_id_unreadable`, `export_failed`)."""
        if not self._stewards.is_operator(interaction):
            raise UserFacingError("operator_alone")
        now = time.time()
        wanted = LogFilter(
            since=moment(since, now) if since else 0.0,
            until=moment(until, now, end=True) if until else None,
            user_id=user_id,
            guild_id=server_id(server) if server else None,
            contains=contains or "",
        )
        await interaction.response.defer(ephemeral=True)
        filters = ", ".join(
            f"{name}={value}" for name, value in (
                ("since", since), ("until", until), ("user", user_id), ("server", server), ("contains", contains)
            ) if value
        )  # fmt: skip
        async with self._turn:
            # Written down before anybody can read a line of it.
            await self._audit.add(interaction.guild_id, interaction.user.id, "prompt_log", f"{form} {filters}".strip())
            try:
                written = await asyncio.to_thread(self._write, wanted, form, interaction.filesize_limit - MARGIN_BYTES)
            except (OSError, sqlite3.Error) as error:
                log.exception("the prompt log could not be written")
                raise UserFacingError("export_failed") from error
        await self._hand_over(interaction, written)

    def _write(self, wanted: LogFilter, form: LogFormat, limit_bytes: int) -> Written:
        """As it is where that can be uploaded, else packed."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        plain = self._folder / f"prompt-log-{stamp}-{new_job_id()[:4]}.{form}"
        written = write_log(self._database, plain, wanted, form)
        if written.size_bytes <= limit_bytes:
            return written
        packed = write_log(self._database, plain.with_name(plain.name + ".gz"), replace(wanted), form)
        plain.unlink(missing_ok=True)
        return packed

    async def _hand_over(self, interaction: Interaction, written: Written) -> None:
        texts = texts_of(interaction)
        lines = [texts("prompt_log.done", n=written.rows, size=size_text(written.size_bytes))]
        if written.cut:
            lines.append(texts("prompt_log.cut", most=ROWS_MAX))
        try:
            if written.size_bytes > interaction.filesize_limit - MARGIN_BYTES:
                raise _TooLargeError
            data = await asyncio.to_thread(written.path.read_bytes)
            await interaction.edit_original_response(
                content="\n".join(lines), attachments=[discord.File(io.BytesIO(data), written.path.name)]
            )
        except (discord.HTTPException, _TooLargeError) as error:
            if isinstance(error, discord.HTTPException) and error.status != 413 and error.code != 40005:
                await self._discard(written)
                raise
            # It stays where it is: the operator has the machine.
            lines.append(texts("prompt_log.kept", file=f"{written.path.parent.name}/{written.path.name}"))
            await say(interaction, "\n".join(lines))
        else:
            await self._discard(written)

    async def _discard(self, written: Written) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(written.path.unlink, missing_ok=True)


class _TooLargeError(Exception):
    pass
