"""What cards have besides their own: the original of what was made smaller, "Publish" for a draft, and a warning
where a card will be out of reach before it is finished."""

from __future__ import annotations

import time
from collections.abc import Sequence

import discord

from bot.delivery.cards import queued_card
from bot.delivery.grid_card import filling_grid_card
from bot.delivery.ladder import Rung
from bot.delivery.machine import MachineState
from bot.delivery.training_card import TrainingShown, live_training_card, new_training
from bot.dispatch.dispatcher import Standing
from bot.domain.job import Job
from bot.i18n import Texts, texts_for
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb

__all__ = ["extra_buttons", "waiting_card", "with_row", "with_small"]

IN_A_ROW = 4


def extra_buttons(job: Job, rung: Rung, texts: Texts) -> list[AddressButton]:
    found: list[AddressButton] = []
    if job.private:
        label = texts("private.publish")
        found.append(button(Verb.PUBLISH, job.id, label, style=discord.ButtonStyle.success, emoji="📣"))
    if rung is not Rung.PNG:
        found.append(button(Verb.ORIGINAL, job.id, texts("private.original"), emoji="📎"))
    return found


def waiting_card(
    job: Job, standing: Standing | None, machine: MachineState, *, only_by_token: bool
) -> discord.ui.LayoutView:
    """The card of a job that waits. `only_by_token`: it is out of reach once its token is over, which is told as soon
    as it will take longer than that."""
    if job.script is not None:
        return filling_grid_card(job, 0, job.script.size, has_preview=False)
    if job.training is not None:
        return live_training_card(job, TrainingShown(new_training(job)), None)
    view = queued_card(job, standing, machine)
    eta_s = standing.eta_s if standing is not None else None
    if only_by_token and eta_s is not None and job.grant is not None and time.time() + eta_s > job.grant.expires_at:
        texts = texts_for(job.locale)
        return with_small(view, texts("private.late" if job.private else "live.late"))
    return view


def with_small(view: discord.ui.LayoutView, line: str) -> discord.ui.LayoutView:
    """The same card with one more small line, at the end of its box."""
    text: discord.ui.TextDisplay[discord.ui.LayoutView] = discord.ui.TextDisplay(f"-# {line}")
    last = view.children[-1] if view.children else None
    (last if isinstance(last, discord.ui.Container) else view).add_item(text)
    return view


def with_row(view: discord.ui.LayoutView, buttons: Sequence[AddressButton]) -> discord.ui.LayoutView:
    """The same card with one more row, inside its box where it has one."""
    if buttons:
        row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, buttons[:IN_A_ROW]))
        last = view.children[-1] if view.children else None
        (last if isinstance(last, discord.ui.Container) else view).add_item(row)
    return view
