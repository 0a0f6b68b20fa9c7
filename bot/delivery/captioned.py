"""The card of a job that captioned a data set's pictures: what became of them, and the way to look at it."""

from __future__ import annotations

import discord

from bot.delivery.looked import job_card
from bot.domain.captions.merging import Outcome
from bot.domain.job import Job
from bot.domain.mentions import spoken
from bot.domain.notes import named
from bot.i18n import texts_for
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb
from gpu_worker.protocol.specs import Caption

__all__ = ["captioned_card"]


def captioned_card(job: Job, outcome: Outcome) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    assert isinstance(job.task, Caption), "the card of captions"
    lines: list[str] = []
    row: list[AddressButton] = []
    if outcome.dataset is None:
        lines.append(texts("tag_editor.done.gone"))
    else:
        lines.append(texts("tag_editor.done.written", n=outcome.written, dataset=spoken(outcome.dataset)))
        if outcome.kept:
            lines.append(texts("tag_editor.done.kept", n=outcome.kept))
        if outcome.refused:
            lines.append(texts("tag_editor.done.refused", n=outcome.refused))
        if outcome.unread:
            names = named([spoken(name) for name in outcome.unread])
            lines.append(texts("tag_editor.done.unread", n=len(outcome.unread), names=names))
        if outcome.gone:
            lines.append(texts("tag_editor.done.left", n=outcome.gone))
        primary = discord.ButtonStyle.primary
        row.append(button(Verb.CAPTIONED, job.id, texts("tag_editor.open"), n=1, style=primary, emoji="🏷️"))
        if outcome.written:
            row.append(button(Verb.CAPTIONED, job.id, texts("tag_editor.undo"), n=2, emoji="↩️"))
    row.append(button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"))
    small = texts(
        "tag_editor.done.how",
        tagger=spoken(job.task.tagger),
        threshold=f"{job.task.threshold:g}",
        character=f"{job.task.character:g}",
    )
    return job_card(job, texts, "\n".join(lines), [], [row], [small], None)
