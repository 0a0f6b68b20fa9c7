"""The desk of regions: their picture, what each says, and what can be changed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import discord

from bot.domain.layouts.keeping import region_count
from bot.domain.layouts.parts import Arrangement, Part
from bot.domain.layouts.rectangles import ARRANGEMENTS, rectangle_text
from bot.domain.mentions import neutral
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.layouts.picture import marker
from bot.studio.notes import joined
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row
from gpu_worker.language.regions import is_whole
from gpu_worker.protocol.specs import REGIONS_MAX

__all__ = ["PICTURE_NAME", "Step", "desk_page", "region_name", "regions_line"]

PICTURE_NAME = "regions.png"
BLUE = 0x5865F2
PART_CHARS = 140
NOTES_CHARS = 900
LINE_CHARS = 300


class Step(IntEnum):
    """What a button of the desk does; never reused."""

    OPEN = 1
    PANEL = 2
    ADD = 3
    TEXT = 4
    OPTIONS = 5
    CLEAR = 6
    EXTENSION = 7
    REGION = 10
    """This and more: the form of the region of that number behind it."""


def region_name(number: int, part: Part, texts: Texts) -> str:
    if number == 0 and is_whole(part.region):
        return texts("regions.background")
    return texts("regions.one", n=number)


def regions_line(arrangement: Arrangement, texts: Texts) -> str:
    """For the panel: how many, until which step."""
    count = region_count([part.region for part in arrangement.parts])
    if not arrangement.end_step:
        return texts("regions.line_off", n=count)
    return texts("regions.line", n=count, step=arrangement.end_step)


def desk_page(draft: Draft, texts: Texts, notes: Sequence[str], *, private: bool) -> discord.ui.LayoutView:
    """Its picture is the attachment `PICTURE_NAME`."""
    arrangement = Arrangement.of(draft.spec)
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per desk: its parts are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
    box.add_item(discord.ui.TextDisplay(f"### {texts('regions.title')}"))
    gallery: discord.ui.MediaGallery[discord.ui.LayoutView] = discord.ui.MediaGallery(
        discord.MediaGalleryItem(f"attachment://{PICTURE_NAME}", description=texts("regions.picture"))
    )
    box.add_item(gallery)
    box.add_item(discord.ui.TextDisplay(_listed(arrangement, texts, notes)))
    rows = [_row_of(number, part, texts) for number, part in enumerate(arrangement.parts[:REGIONS_MAX])]
    box.add_item(select_row(Verb.LAYOUT_PICK, draft.id, texts("regions.pick"), rows))
    layouts = [(name, texts(f"regions.layout.{at}"), name) for at, name in enumerate(ARRANGEMENTS)]
    box.add_item(select_row(Verb.LAYOUT_SHAPE, draft.id, texts("regions.shape"), layouts))
    changes = [
        button(Verb.LAYOUT, draft.id, texts("regions.text"), n=Step.TEXT, emoji="📝"),
        button(Verb.LAYOUT, draft.id, texts("regions.options"), n=Step.OPTIONS, emoji="⚙️"),
        button(Verb.LAYOUT, draft.id, texts("regions.extension"), n=Step.EXTENSION, emoji="🔢"),
    ]
    if len(arrangement.parts) < REGIONS_MAX:
        changes.insert(0, button(Verb.LAYOUT, draft.id, texts("regions.add"), n=Step.ADD, emoji="➕"))
    box.add_item(_row(changes))
    box.add_item(_row(_ends(draft, arrangement, texts, private=private)))
    view.add_item(box)
    return view


def _ends(draft: Draft, arrangement: Arrangement, texts: Texts, *, private: bool) -> list[AddressButton]:
    primary, mine, all_ = discord.ButtonStyle.primary, texts("tweak.draw_private"), texts("tweak.draw_public")
    ends = [
        button(Verb.DRAW, draft.id, mine, n=1, style=primary, emoji="🔒")
        if private
        else button(Verb.DRAW, draft.id, texts("advanced.draw"), style=primary, emoji="🎨"),
        button(Verb.DRAW, draft.id, all_, n=2, emoji="📣")
        if private
        else button(Verb.DRAW, draft.id, mine, n=1, emoji="🔒"),
        button(Verb.LAYOUT, draft.id, texts("regions.panel"), n=Step.PANEL, emoji="↩️"),
    ]
    if len(arrangement.parts) > 1:
        clear = button(
            Verb.LAYOUT, draft.id, texts("regions.clear"), n=Step.CLEAR, emoji="🗑️", style=discord.ButtonStyle.danger
        )
        ends.append(clear)
    return ends


def _listed(arrangement: Arrangement, texts: Texts, notes: Sequence[str]) -> str:
    lines: list[str] = []
    # All texts of a message together may have 4000 characters.
    shown = arrangement.parts[:REGIONS_MAX]
    most = max(30, min(PART_CHARS, 2200 // len(shown) - 60))
    for number, part in enumerate(shown):
        words = neutral(part.text, most) or f"*{texts('regions.wordless')}*"
        place = texts("regions.everywhere") if is_whole(part.region) else f"{rectangle_text(part.region)} %"
        name = region_name(number, part, texts)
        lines.append(f"{marker(number)} **{name}** · {place} · ×{part.region.weight:g}\n{words}")
    if len(arrangement.parts) > len(shown):
        lines.append(f"-# {texts('regions.more', n=len(arrangement.parts) - len(shown))}")
    if len(arrangement.parts) == 1:
        lines.append(f"-# {texts('regions.none_yet')}")
    else:
        lines.append(f"-# {regions_line(arrangement, texts)}")
        if arrangement.loras_apart:
            lines.append(f"-# {texts('regions.loras_apart')}")
    return "\n".join([*lines, joined(notes, NOTES_CHARS, "-# ")]).rstrip()


def _row_of(number: int, part: Part, texts: Texts) -> Row:
    place = texts("regions.everywhere") if is_whole(part.region) else f"{rectangle_text(part.region)} %"
    words = " ".join(part.text.split()) or texts("regions.wordless")
    return str(number), f"{region_name(number, part, texts)} · {place} · ×{part.region.weight:g}", words[:100]


def _row(buttons: Sequence[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
