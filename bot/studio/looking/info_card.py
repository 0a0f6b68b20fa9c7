"""How a picture was made, on a card that only the one who asked sees: texts, parameters, and what can be done next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import discord

from bot.domain.ids import JobId
from bot.domain.job import Image, Job
from bot.domain.mentions import neutral
from bot.i18n import Texts
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import select_row
from gpu_worker.language.infotext import parse_infotext

__all__ = ["TEXT_FILE", "Info", "info_card"]

PROMPT_CHARS = 1400
NEGATIVE_CHARS = 600
FIELDS_CHARS = 1100
NOTES_CHARS = 500
"""All texts of a message together may have 4000."""
TEXT_FILE = "parameters.txt"
BLUE = 0x5865F2


@dataclass(frozen=True, slots=True)
class Info:
    """`number` counts from 0; `others` are the names of all pictures that were pointed at."""

    find: JobId
    number: int
    others: tuple[str, ...]
    infotext: str | None
    ours: tuple[Image, Job] | None = None
    notes: tuple[str, ...] = ()


def info_card(info: Info, texts: Texts) -> tuple[discord.ui.LayoutView, str | None]:
    """The card, and the whole text where the card has no room for it: it belongs beside the card, as TEXT_FILE."""
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
    # The name of one of ours says nothing to anybody.
    name = neutral(info.others[info.number], 80)
    title = texts("info.title", name=name) if info.ours is None else texts("info.title_ours")
    lines = [f"### {title}", *_origin(info, texts)]
    whole: str | None = None
    if info.infotext is None:
        lines.append(texts("info.silent"))
        box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    else:
        read = parse_infotext(info.infotext)
        fields = _joined(read.fields)
        box.add_item(discord.ui.TextDisplay("\n".join(lines)))
        parts = [_block(texts("info.prompt"), read.prompt, PROMPT_CHARS)]
        if read.negative_prompt:
            parts.append(_block(texts("info.negative"), read.negative_prompt, NEGATIVE_CHARS))
        if fields:
            parts.append(f"**{texts('info.parameters')}**\n{neutral(fields, FIELDS_CHARS)}")
        box.add_item(discord.ui.TextDisplay("\n".join(part for part in parts if part)))
        cut = len(read.prompt) > PROMPT_CHARS or len(read.negative_prompt) > NEGATIVE_CHARS
        if cut or len(neutral(fields)) > FIELDS_CHARS:
            whole = info.infotext
            file: discord.ui.File[discord.ui.LayoutView] = discord.ui.File(f"attachment://{TEXT_FILE}")
            box.add_item(file)
    if info.notes:
        box.add_item(discord.ui.TextDisplay("\n".join(f"-# {note}" for note in info.notes)[:NOTES_CHARS]))
    if len(info.others) > 1:
        rows = [(str(at), texts("info.other", n=at + 1), name) for at, name in enumerate(info.others)]
        box.add_item(select_row(Verb.FIND, info.find, texts("info.others"), rows, str(info.number)))
    for row in (_buttons(info, texts), _lower(info, texts)):
        actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
        box.add_item(actions)
    view.add_item(box)
    return view, whole


def _buttons(info: Info, texts: Texts) -> Sequence[AddressButton]:
    find, n = info.find, info.number
    found: list[AddressButton] = []
    if info.infotext is not None and parse_infotext(info.infotext).prompt:
        use = button(
            Verb.USE_FOUND, find, texts("button.use_these"), n=n, style=discord.ButtonStyle.primary, emoji="📋"
        )
        found = [use, button(Verb.STYLE_FOUND, find, texts("button.style"), n=n, emoji="🎨")]
    return [
        *found,
        button(Verb.FIND_DESCRIBE, find, texts("button.describe"), n=n, emoji="🔎"),
        button(Verb.FIND_ENLARGE, find, texts("button.enlarge"), n=n, emoji="🔍"),
        button(Verb.FIND_PROMPT, find, texts("button.image_prompt"), n=n, emoji="🖼️"),
    ]


def _lower(info: Info, texts: Texts) -> Sequence[AddressButton]:
    return [
        button(Verb.FIND_CONTROL, info.find, texts("button.as_unit"), n=info.number, emoji="🕹️"),
        button(Verb.FIND_MAP, info.find, texts("button.map"), n=info.number, emoji="🗺️"),
    ]


def _origin(info: Info, texts: Texts) -> list[str]:
    if info.ours is None:
        return []
    image, job = info.ours
    lines = [
        "-# "
        + texts(
            "info.ours",
            user=f"<@{job.user_id}>",
            when=f"<t:{int(job.created_at)}:f>",
            width=image.width,
            height=image.height,
            id=f"`{image.id}`",
        )
    ]
    if job.message_id is not None:
        place = job.guild_id if job.guild_id is not None else "@me"
        lines[0] += f" · [{texts('info.card')}](https://discord.com/channels/{place}/{job.channel_id}/{job.message_id})"
    return lines


def _joined(pairs: Mapping[str, str]) -> str:
    shown: list[str] = []
    for key, value in pairs.items():
        base, dash, side = key.rpartition("-")
        if dash and side == "2" and f"{base}-1" in pairs:
            continue
        if dash and side == "1" and f"{base}-2" in pairs:
            shown.append(f"{base}: {value}×{pairs[f'{base}-2']}")
        else:
            shown.append(f"{key}: {value}")
    return " · ".join(shown)


def _block(label: str, text: str, limit: int) -> str:
    """In a code block, from which a phone copies with one tap; nothing acts in there but the fence itself."""
    if not text:
        return ""
    shown = text.replace("`", "'").replace("@", "@\u200b")
    shown = shown if len(shown) <= limit else shown[: limit - 1] + "…"
    return f"**{label}**\n```\n{shown}\n```"
