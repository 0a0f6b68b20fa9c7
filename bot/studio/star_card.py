"""What a star board shows of a card: its pictures, its author, and the way to it."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.domain.job import Image, Job
from bot.domain.mentions import neutral
from bot.i18n import Texts
from bot.studio.history.cards import message_link

__all__ = ["star_card"]

PROMPT_CHARS = 300
ALT_CHARS = 1000
GOLD = 0xF0B232


def star_card(job: Job, shown: Sequence[tuple[str, Image, bool]], stars: int, texts: Texts) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=GOLD)
    prompt = getattr(job.task, "prompt", "")
    lines = [texts("starboard.head", n=stars, user=f"<@{job.user_id}>")]
    if prompt:
        lines.append(f"**{neutral(_clip(prompt, PROMPT_CHARS))}**")
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    items = [
        discord.MediaGalleryItem(f"attachment://{name}", description=_clip(prompt, ALT_CHARS) or None, spoiler=spoiler)
        for name, _, spoiler in shown
    ]
    box.add_item(discord.ui.MediaGallery(*items))
    assert job.message_id is not None
    link: discord.ui.Button[discord.ui.LayoutView] = discord.ui.Button(
        label=texts("starboard.link"), url=message_link(job.guild_id, job.channel_id, job.message_id)
    )
    box.add_item(discord.ui.ActionRow(link))
    view.add_item(box)
    return view


def _clip(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
