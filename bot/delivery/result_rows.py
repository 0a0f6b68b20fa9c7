"""The buttons of a finished card: a row for U, one for V and one for the rest where there are several pictures; every
action of a picture where there is one. What else there is lies behind "More"."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.domain.job import Action, Image, Job
from bot.i18n import Texts
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb

__all__ = ["PAN_SIDES", "picture_rows", "result_rows"]

PRIMARY = discord.ButtonStyle.primary
PAN_SIDES = {1: "left", 2: "top", 3: "bottom", 4: "right"}
"""`n` of the address → side."""
_ARROWS = {1: "⬅️", 2: "⬆️", 3: "⬇️", 4: "➡️"}


def result_rows(job: Job, images: Sequence[Image], texts: Texts) -> list[list[AddressButton]]:
    if job.action is Action.TEST:
        enable = button(Verb.TEST_ENABLE, job.id, texts("button.enable"), style=discord.ButtonStyle.success, emoji="✅")
        return [[enable, button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️")]]
    rows: list[list[AddressButton]] = []
    if len(images) == 1:
        rows = picture_rows(images[0], texts)
    elif images:
        rows = [
            [button(Verb.UPSCALE, i.id, f"U{i.index + 1}", style=PRIMARY) for i in images[:4]],
            [button(Verb.VARY, i.id, f"V{i.index + 1}", n=1) for i in images[:4]],
        ]
    rows.append(
        [
            button(Verb.REROLL, job.id, texts("button.reroll"), emoji="🔁"),
            button(Verb.EDIT, job.id, texts("button.edit"), emoji="✏️"),
            button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"),
            button(Verb.MORE, job.id, texts("button.more"), emoji="🧰"),
        ]
    )
    if job.draws and job.spec.control:
        rows[-1].append(button(Verb.MAPS, job.id, texts("button.maps"), emoji="🗺️"))
    return rows


def picture_rows(image: Image, texts: Texts, *, kept: bool = False) -> list[list[AddressButton]]:
    """All that can be made of one picture. The last button of the second row keeps it, which needs no drawing; `kept`
    is for a panel of one person's, who keeps it already."""
    id_ = image.id
    star = discord.ButtonStyle.success if kept else discord.ButtonStyle.secondary
    keep = texts("button.kept" if kept else "button.favourite")
    return [
        [
            button(Verb.UPSCALE_SUBTLE, id_, texts("button.upscale_subtle"), style=PRIMARY, emoji="⏫"),
            button(Verb.UPSCALE, id_, texts("button.upscale_creative"), style=PRIMARY, emoji="✨"),
            button(Verb.VARY, id_, texts("button.vary_subtle"), n=1, emoji="🎲"),
            button(Verb.VARY, id_, texts("button.vary_strong"), n=2, emoji="🎲"),
        ],
        [
            button(Verb.REGION, id_, texts("button.region"), emoji="🖌️"),
            button(Verb.ZOOM, id_, texts("button.zoom_a_little"), n=150, emoji="🔭"),
            button(Verb.ZOOM, id_, texts("button.zoom_a_lot"), n=200, emoji="🔭"),
            button(Verb.FAVOURITE, id_, keep, style=star, emoji="⭐"),
        ],
        [button(Verb.PAN, id_, "", n=n, emoji=arrow) for n, arrow in _ARROWS.items()],
    ]
