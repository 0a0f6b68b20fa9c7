"""Cards of finished jobs on a picture: the enlarged picture, or what a tagger saw in one.

Their buttons lead on: an enlarged picture can be enlarged again, and what was seen can be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.made import headline
from bot.domain.described import Seen
from bot.domain.job import Image, Job
from bot.domain.mentions import neutral, spoken
from bot.i18n import Texts, texts_for
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from gpu_worker.protocol.specs import Describe, Upscale

__all__ = ["described_card", "enlarged_card", "job_card"]

GREEN = 0x23A55A
TAGS_CHARS = 2400
CHARACTERS_CHARS = 400


def enlarged_card(
    job: Job,
    image: Image | None,
    filename: str | None,
    *,
    notes: Sequence[str] = (),
    source_owner: int | None = None,
    spoiler: bool = False,
) -> discord.ui.LayoutView:
    """`filename` is None where the picture is too large to be sent."""
    texts = texts_for(job.locale)
    assert isinstance(job.task, Upscale), "the card of an enlargement"
    gallery: list[discord.MediaGalleryItem] = []
    if filename is not None:
        alt = headline(job, texts)[:1000]
        gallery.append(discord.MediaGalleryItem(f"attachment://{filename}", description=alt, spoiler=spoiler))
    facts: list[str] = []
    if image is not None:
        facts.append(texts("looked.size", width=image.width, height=image.height))
    two = job.task.visibility_2 > 0 and job.task.upscaler_2 != "None"
    names = {"upscaler": spoken(job.task.upscaler), "upscaler_2": spoken(job.task.upscaler_2)}
    facts.append(texts("looked.blended" if two else "looked.by", **names))
    row: list[AddressButton] = []
    if image is not None:
        row = [
            button(Verb.ENLARGE, image.id, texts("button.enlarge"), emoji="🔍"),
            button(Verb.INFO, image.id, texts("button.picture_info"), emoji="📋"),
        ]
    row.append(button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"))
    return job_card(job, texts, "", gallery, [row], [" · ".join(facts), *notes], source_owner)


def described_card(job: Job, found: Seen) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    assert isinstance(job.task, Describe), "the card of a description"
    lines: list[str] = []
    if found.characters:
        lines.append(texts("looked.characters", names=", ".join(found.characters)[:CHARACTERS_CHARS]))
    if found.prompt:
        lines += [texts("looked.tags"), f"```\n{_fenced(found.prompt)}\n```"]
    else:
        lines.append(texts("looked.refused" if found.refused else "looked.none"))
    says = job.description is not None and bool(job.description.infotext)
    if says:
        lines.append("📋 " + texts("looked.says"))
    row: list[AddressButton] = []
    if found.prompt:
        primary = discord.ButtonStyle.primary
        row.append(button(Verb.DRAW_TAGS, job.id, texts("button.draw_tags"), style=primary, emoji="🎨"))
        row.append(button(Verb.EDIT_TAGS, job.id, texts("button.edit_tags"), emoji="✏️"))
    if says:
        row.append(button(Verb.USE_SEEN, job.id, texts("button.use_these"), emoji="📋"))
    row.append(button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"))
    small = texts(
        "looked.thresholds",
        tagger=neutral(job.task.tagger, 100),
        general=f"{job.task.general:g}",
        character=f"{job.task.character:g}",
    )
    return job_card(job, texts, "\n".join(lines), [], [row], [small], None)


def _fenced(text: str) -> str:
    """For a code block, from which a phone copies with one tap; nothing acts in there but the fence itself."""
    shown = text.replace("`", "'").replace("@", "@\u200b")
    return shown if len(shown) <= TAGS_CHARS else shown[: TAGS_CHARS - 1].rpartition(",")[0] + " …"


def job_card(
    job: Job,
    texts: Texts,
    body: str,
    gallery: Sequence[discord.MediaGalleryItem],
    rows: Sequence[Sequence[AddressButton]],
    small: Sequence[str],
    source_owner: int | None,
) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=GREEN)
    by = texts("card.by", user=f"<@{job.user_id}>")
    if source_owner is not None and source_owner != job.user_id:
        action = texts(f"card.action.{job.action}")
        by = f"{texts('card.from', action=action, user=f'<@{source_owner}>')} · {by}"
    head = f"**{neutral(headline(job, texts), 200)}**\n-# {by}"
    box.add_item(discord.ui.TextDisplay(f"{head}\n{body}".rstrip()))
    if gallery:
        box.add_item(discord.ui.MediaGallery(*gallery))
    box.add_item(discord.ui.TextDisplay("\n".join(f"-# {line}" for line in small)))
    for row in rows:
        actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
        box.add_item(actions)
    view.add_item(box)
    return view
