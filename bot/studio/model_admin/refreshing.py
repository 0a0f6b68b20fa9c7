"""A look at the model folders on demand, with its progress."""

from __future__ import annotations

import asyncio
import contextlib

import discord

from bot.library import Library, ScanProgress
from bot.studio.model_admin.telling import texts_of
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction

__all__ = ["Refreshing"]

EDIT_EVERY_S = 1.5


class Refreshing:
    def __init__(self, library: Library, stewards: Stewards) -> None:
        self._library = library
        self._stewards = stewards

    async def refresh(self, interaction: Interaction) -> None:
        self._stewards.commanding(interaction)
        texts = texts_of(interaction)
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


class _Progress:
    """The newest word of a scan, which may come from another thread."""

    def __init__(self) -> None:
        self.newest: ScanProgress | None = None

    def report(self, progress: ScanProgress) -> None:
        self.newest = progress
