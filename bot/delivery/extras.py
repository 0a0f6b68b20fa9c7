"""What a finished card has below its own buttons: the original of what was made smaller, and "Publish" for a draft."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.ladder import Rung
from bot.domain.job import Job
from bot.i18n import Texts
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb

__all__ = ["extra_buttons", "with_row"]

IN_A_ROW = 4


def extra_buttons(job: Job, rung: Rung, texts: Texts) -> list[AddressButton]:
    found: list[AddressButton] = []
    if job.private:
        label = texts("private.publish")
        found.append(button(Verb.PUBLISH, job.id, label, style=discord.ButtonStyle.success, emoji="📣"))
    if rung is not Rung.PNG:
        found.append(button(Verb.ORIGINAL, job.id, texts("private.original"), emoji="📎"))
    return found


def with_row(view: discord.ui.LayoutView, buttons: Sequence[AddressButton]) -> discord.ui.LayoutView:
    """The same card with one more row, inside its box where it has one."""
    if buttons:
        row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, buttons[:IN_A_ROW]))
        last = view.children[-1] if view.children else None
        (last if isinstance(last, discord.ui.Container) else view).add_item(row)
    return view
