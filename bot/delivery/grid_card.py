"""Cards of scripts: the grid as it fills, and the finished one with lists that hand out single cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.delivery.made import headline
from bot.domain.ids import JobId
from bot.domain.job import Image, Job
from bot.domain.mentions import neutral
from bot.domain.scripts import ScriptSpec
from bot.i18n import Texts, texts_for
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row

__all__ = [
    "CELLS_LISTED", "GRID_NAME", "GridPart", "cell_label", "cells_row", "filling_grid_card", "finished_grid_card",
]  # fmt: skip

GRID_NAME = "grid.webp"
GREY, BLUE, GREEN = 0x80848E, 0x5865F2, 0x23A55A
CELLS_LISTED = 25
"""Of a list in Discord."""
PROMPT_CHARS = 350
ALT_CHARS = 1000
BAR = 12


@dataclass(frozen=True, slots=True)
class GridPart:
    """A picture of the grid as it goes on the card."""

    image: Image
    filename: str | None
    """None where it is too large to be sent."""
    spoiler: bool = False


def filling_grid_card(
    job: Job,
    drawn: int,
    total: int,
    *,
    has_preview: bool,
    cancelling: bool = False,
    drawing: bool = False,
    outlook: str = "",
) -> discord.ui.LayoutView:
    """`drawing`: its first cells are on their way. `outlook` is a sentence on when it will be there, or why not."""
    texts = texts_for(job.locale)
    started = drawn > 0 or drawing
    if cancelling:
        state = texts("card.cancelling")
    elif started:
        full = round(drawn / max(1, total) * BAR)
        state = texts("script.filling", bar="▰" * full + "▱" * (BAR - full), drawn=drawn, n=total)
    else:
        state = texts("script.waiting", n=total)
    if outlook and not cancelling:
        state += f" · {outlook}"
    gallery: list[discord.MediaGalleryItem] = []
    if has_preview:
        alt = texts("script.alt_filling", drawn=drawn, n=total, prompt=headline(job, texts))
        gallery.append(discord.MediaGalleryItem(f"attachment://{GRID_NAME}", description=alt[:ALT_CHARS]))
    colour = BLUE if started and not cancelling else GREY
    view, box = _card(job, texts, colour, state, gallery)
    if not cancelling:
        box.add_item(_row([button(Verb.CANCEL, job.id, texts("button.cancel"))]))
    return view


def finished_grid_card(
    job: Job,
    parts: Sequence[GridPart],
    cells: Sequence[tuple[int, str]],
    *,
    total: int,
    notes: Sequence[str] = (),
) -> discord.ui.LayoutView:
    """`cells` are the places that were drawn, by place, each with what sets it apart."""
    texts = texts_for(job.locale)
    prompt = headline(job, texts)
    gallery = [
        discord.MediaGalleryItem(
            f"attachment://{part.filename}",
            description=texts("script.alt", n=number, of=len(parts), prompt=prompt)[:ALT_CHARS],
            spoiler=part.spoiler,
        )
        for number, part in enumerate(parts, 1)
        if part.filename is not None
    ]
    drawn = len(cells)
    small = [texts("script.cells", n=total)]
    if job.cancel_by is not None:
        small = [texts("script.cancelled_after", drawn=drawn, n=total)]
    elif drawn < total:
        small.append(texts("script.blank", n=total - drawn))
    view, box = _card(job, texts, GREEN, "", gallery, small=[*small, *notes])
    if cells:
        box.add_item(cells_row(job.id, cells, texts))
    buttons = [
        # By this address a result that was posted already is found again.
        button(Verb.REROLL, job.id, texts("button.reroll"), emoji="🔁"),
        button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"),
    ]
    box.add_item(_row(buttons))
    return view


def cells_row(
    script_id: JobId, cells: Sequence[tuple[int, str]], texts: Texts, *, start: int | None = None
) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    """A list of cells, or of parts of the list where they are more than one takes; `start` names a part of it."""
    if start is not None or len(cells) <= CELLS_LISTED:
        shown = cells[(start or 0) :][:CELLS_LISTED]
        rows: list[Row] = [(str(place), cell_label(place, label, texts), "") for place, label in shown]
        return select_row(Verb.SCRIPT_CELL, script_id, texts("script.pick"), rows)
    parts: list[Row] = []
    for first in range(0, len(cells), CELLS_LISTED):
        part = cells[first : first + CELLS_LISTED]
        parts.append((str(first), texts("script.part", first=part[0][0] + 1, last=part[-1][0] + 1), part[0][1]))
    return select_row(Verb.SCRIPT_CELLS, script_id, texts("script.pick"), parts)


def cell_label(place: int, label: str, texts: Texts) -> str:
    return texts("script.cell", n=place + 1, label=label) if label else texts("script.cell_plain", n=place + 1)


def _card(
    job: Job,
    texts: Texts,
    colour: int,
    state: str,
    gallery: Sequence[discord.MediaGalleryItem],
    *,
    small: Sequence[str] = (),
) -> tuple[discord.ui.LayoutView, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=colour)
    what = f"{texts(f'script.title.{_kind(job.script)}')} · {texts('card.by', user=f'<@{job.user_id}>')}"
    head = f"**{neutral(headline(job, texts), PROMPT_CHARS)}**\n-# {what}"
    box.add_item(discord.ui.TextDisplay(head + (f"\n{state}" if state else "")))
    if gallery:
        box.add_item(discord.ui.MediaGallery(*gallery))
    if small:
        box.add_item(discord.ui.TextDisplay("\n".join(f"-# {line}" for line in small)))
    view.add_item(box)
    return view, box


def _kind(script: ScriptSpec | None) -> str:
    assert script is not None, "the card of a script"
    return script.kind


def _row(buttons: Sequence[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
