"""The card of an export: how far it is, then its parts."""

from __future__ import annotations

import discord

from bot.i18n import texts_for
from bot.storage.exports import Export
from bot.ui.buttons import button, in_layout
from bot.ui.codec import Verb
from bot.ui.forms import OPTIONS_LIMIT
from bot.ui.selects import select_row

__all__ = ["export_card"]

BAR = 12
BUTTONS_MAX = 8
BLUE, GREEN, GREY, RED = 0x5865F2, 0x23A55A, 0x80848E, 0xDA373C


def export_card(
    export: Export, *, head: str = "", left_out: int = 0, attached: str | None = None
) -> discord.ui.LayoutView:
    """`attached` is the name of its only part where it is sent along."""
    texts = texts_for(export.locale)
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    colour = {"ready": GREEN, "failed": RED, "cancelled": GREY}.get(export.state, BLUE)
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=colour)
    lines = [texts("export.title"), *([head] if head else [])]
    total = len(export.images)
    match export.state:
        case "waiting":
            lines.append(texts("export.waiting"))
        case "packing":
            full = round((export.packed + export.missing) / max(1, total) * BAR)
            bar = "▰" * full + "▱" * (BAR - full)
            lines.append(texts("export.packing", bar=bar, packed=export.packed, total=total))
        case "ready":
            lines.append(texts("export.ready", n=export.packed) + " " + texts("export.parts", n=export.parts))
            lines.append("-# " + texts("export.recipe"))
            lines.append("-# " + texts("export.until", when=f"<t:{int(export.until)}:R>"))
        case _:
            lines.append(texts(f"export.{'failed' if export.state == 'failed' else 'cancelled'}"))
    if left_out:
        lines.append("-# " + texts("export.cut", n=left_out))
    if export.missing and export.state == "ready":
        lines.append("-# " + texts("export.missing", n=export.missing))
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    if attached is not None:
        file: discord.ui.File[discord.ui.LayoutView] = discord.ui.File(f"attachment://{attached}")
        box.add_item(file)
    elif export.state == "ready":
        _add_parts(box, export)
    if export.open:
        stop = button(Verb.EXPORT_CANCEL, export.id, texts("export.cancel"))
        box.add_item(discord.ui.ActionRow(in_layout(stop)))
    view.add_item(box)
    return view


def _add_parts(box: discord.ui.Container[discord.ui.LayoutView], export: Export) -> None:
    texts = texts_for(export.locale)
    numbers = range(1, export.parts + 1)
    if export.parts <= BUTTONS_MAX:
        for first in range(0, export.parts, 4):
            row = [
                in_layout(button(Verb.EXPORT_PART, export.id, texts("export.part", n=n), n=n, emoji="📦"))
                for n in numbers[first : first + 4]
            ]
            box.add_item(discord.ui.ActionRow(*row))
        return
    for first in range(0, export.parts, OPTIONS_LIMIT):
        some = numbers[first : first + OPTIONS_LIMIT]
        rows = [(str(n), texts("export.part", n=n), "") for n in some]
        # A number of its own, far from any part's, keeps the lists of one card apart.
        box.add_item(
            select_row(Verb.EXPORT_PART, export.id, f"{some[0]}–{some[-1]}", rows, n=900 + first // OPTIONS_LIMIT)
        )
