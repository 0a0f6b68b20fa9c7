"""Copies of the database, by schedule and by command. The work is done by a thread; one at a time."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from dataclasses import dataclass

from bot.domain.amounts import size_text
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.settings import Settings
from bot.storage.administration import AdminAudit
from bot.storage.backup import BackupFile, BadBackupError, backups_in, make_backup
from bot.studio.model_admin.reports import plain_card
from bot.studio.model_admin.telling import answer, texts_of
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction

__all__ = ["Backups", "Trouble"]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
FIRST_AFTER_S = 900.0
"""Where there is none yet: a start has better things to do."""
RETRY_S = 3600.0
"""After a failed one: the disk may be full, and each try needs room."""
SHOWN = 8
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Trouble:
    at: float
    reason: str
    """A key below `backup.bad`."""
    detail: str = ""


class Backups:
    def __init__(self, settings: Settings, audit: AdminAudit, stewards: Stewards) -> None:
        self._settings = settings
        self._audit = audit
        self._stewards = stewards
        self._turn = asyncio.Lock()
        self._started_at = time.time()
        self._known: tuple[BackupFile, ...] = ()
        self.trouble: Trouble | None = None
        """Of the last try, until one succeeds."""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._look()
        self._task = asyncio.create_task(self._run(), name="backups")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def newest(self) -> BackupFile | None:
        return self._known[0] if self._known else None

    def due_at(self) -> float | None:
        """When the next one is made by itself; None for never."""
        if self._settings.backup_hours == 0:
            return None
        waits_s = self._settings.backup_hours * HOUR_S
        due = self.newest.made_at + waits_s if self.newest else self._started_at + min(FIRST_AFTER_S, waits_s)
        return max(due, self.trouble.at + RETRY_S) if self.trouble else due

    async def make(self) -> BackupFile:
        """Raises BadBackupError, OSError, sqlite3.Error."""
        settings = self._settings
        async with self._turn:
            try:
                made = await asyncio.to_thread(
                    make_backup,
                    settings.database_path,
                    settings.backups_dir,
                    settings.without_secrets(),
                    keep=settings.backup_keep,
                )
            except BadBackupError as error:
                self.trouble = Trouble(time.time(), error.reason, error.detail)
                raise
            except OSError as error:
                self.trouble = Trouble(time.time(), "disk", error.strerror or str(error))
                raise
            except sqlite3.Error:
                self.trouble = Trouble(time.time(), "database")
                raise
            self.trouble = None
            await self._look()
        log.info("the database was copied to %s", made.path)
        return made

    async def command(self, interaction: Interaction) -> None:
        """Raises UserFacingError (`operator_alone`, `backup_failed`)."""
        if not self._stewards.is_operator(interaction):
            raise UserFacingError("operator_alone")
        await interaction.response.defer(ephemeral=True)
        texts = texts_of(interaction)
        try:
            made = await self.make()
        except (BadBackupError, OSError, sqlite3.Error) as error:
            log.exception("a copy of the database failed")
            raise UserFacingError("backup_failed", reason=self.reason(texts)) from error
        await self._audit.add(interaction.guild_id, interaction.user.id, "backup", made.path.name)
        await answer(interaction, plain_card(self.text(texts, made)))

    def text(self, texts: Texts, made: BackupFile | None = None) -> str:
        lines = [texts("backup.discord.made", file=made.path.name, size=size_text(made.size_bytes))] if made else []
        lines.append(texts("backup.discord.last"))
        lines += [
            texts("backup.discord.row", at=int(one.made_at), size=size_text(one.size_bytes), file=one.path.name)
            for one in self._known[:SHOWN]
        ]
        if not self._known:
            lines.append(texts("backup.discord.none"))
        if len(self._known) > SHOWN:
            lines.append(texts("backup.discord.more", n=len(self._known) - SHOWN))
        due = self.due_at()
        if due is None:
            lines.append("-# " + texts("backup.discord.unscheduled"))
        else:
            lines.append("-# " + texts("backup.discord.scheduled", at=int(max(due, time.time()))))
        if self.trouble is not None:
            lines.append(texts("backup.discord.failed", at=int(self.trouble.at), reason=self.reason(texts)))
        lines.append("-# " + texts("backup.discord.restore"))
        return "\n".join(lines)

    def reason(self, texts: Texts) -> str:
        trouble = self.trouble
        if trouble is None:
            return ""
        values = {"detail": trouble.detail, "file": self._settings.database_path.name}
        return texts(f"backup.bad.{trouble.reason}", **values)

    async def _look(self) -> None:
        self._known = tuple(await asyncio.to_thread(backups_in, self._settings.backups_dir))

    async def _run(self) -> None:
        while True:
            try:
                due = self.due_at()
                if due is not None and time.time() >= due:
                    await self.make()
            except Exception:
                log.exception("the scheduled copy of the database failed; it is tried again")
            await asyncio.sleep(LOOK_EVERY_S)
