"""The cards of /history: a page of pictures, one picture, what is asked before and said after a deletion.

Limits (PLATFORM.md): 40 components and 4000 characters of text in all; at most four buttons a row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import discord

from bot.domain.history import PAGE, PAGES_MAX, Desk, shown_moment
from bot.domain.mentions import spoken
from bot.i18n import Texts
from bot.storage.history import Shot
from bot.studio.history.tiles import tile_name
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import select_row

__all__ = [
    "ALT_CHARS",
    "BLUE",
    "LABEL_CHARS",
    "Looked",
    "asked_card",
    "back_card",
    "button_row",
    "clipped",
    "gallery_card",
    "gone_card",
    "message_link",
    "new_card",
]

BLUE, RED, GREY = 0x5865F2, 0xDA373C, 0x80848E
ALT_CHARS = 1000
LABEL_CHARS = 90

Box = discord.ui.Container[discord.ui.LayoutView]


@dataclass(frozen=True)
class Looked:
    """A page."""

    desk_id: str
    desk: Desk
    shots: Sequence[Shot]
    total: int
    stranded: int = 0
    filled: bool = True
    notes: Sequence[str] = ()
    export_id: str | None = None
    """Of one that is packed, or being packed."""

    @property
    def pages(self) -> int:
        return min(PAGES_MAX, max(1, -(-self.total // PAGE)))


def message_link(guild_id: int | None, channel_id: int, message_id: int) -> str:
    return f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}"


def gallery_card(seen: Looked, texts: Texts) -> discord.ui.LayoutView:
    view, box = new_card(BLUE)
    box.add_item(discord.ui.TextDisplay(_head(seen, texts)))
    if seen.shots:
        items = [
            discord.MediaGalleryItem(
                f"attachment://{tile_name(shot)}",
                description=_alt(number, shot, texts),
            )
            for number, shot in enumerate(seen.shots, start=1)
        ]
        box.add_item(discord.ui.MediaGallery(*items))
        rows = [(shot.id, _label(number, shot), _hint(shot, texts)) for number, shot in enumerate(seen.shots, start=1)]
        if seen.desk.choosing:
            here = set(seen.desk.chosen)
            box.add_item(
                select_row(Verb.HISTORY_MARK, seen.desk_id, texts("history.mark"), rows, here, at_most=len(rows))
            )
        else:
            box.add_item(select_row(Verb.HISTORY_OPEN, seen.desk_id, texts("history.open"), rows))
    for row in filter(None, _page_rows(seen, texts)):
        box.add_item(button_row(row))
    view.add_item(box)
    return view


def _head(seen: Looked, texts: Texts) -> str:
    desk, wanted = seen.desk, seen.desk.wanted
    title = texts("history.title") if desk.own else texts("history.title_member", user=f"<@{desk.member}>")
    count = texts("history.found", n=seen.total)
    if seen.pages > 1:
        count += " · " + texts("history.page", number=desk.page + 1, pages=seen.pages)
    filters = [
        *([texts("history.by_words", text=spoken(wanted.search))] if wanted.search else []),
        *([texts("history.by_model", text=spoken(wanted.model))] if wanted.model else []),
        *([texts("history.by_lora", text=spoken(wanted.lora))] if wanted.lora else []),
        *([texts("history.by_since", day=shown_moment(wanted.since))] if wanted.since is not None else []),
        *([texts("history.by_until", day=shown_moment(wanted.until, end=True))] if wanted.until is not None else []),
        *([texts("history.by_favourites")] if wanted.favourites else []),
        *([texts("history.by_stranded")] if wanted.stranded else []),
    ]
    lines = [f"### {title}", "-# " + " · ".join([count, *filters])]
    if seen.stranded and not wanted.stranded:
        lines.append(texts("history.stranded", n=seen.stranded))
    if wanted.search and not seen.filled:
        lines.append("-# " + texts("history.filling"))
    if not seen.total:
        empty = "history.none_member" if not desk.own else "history.none"
        lines.append(texts(empty if wanted.everything else "history.none_match"))
    if desk.choosing:
        lines.append(texts("history.choose_hint"))
        if desk.chosen:
            lines.append("**" + texts("history.chosen", n=len(desk.chosen)) + "**")
    return "\n".join([*lines, *seen.notes])


def _page_rows(seen: Looked, texts: Texts) -> list[list[AddressButton]]:
    id_, desk = seen.desk_id, seen.desk
    pages: list[AddressButton] = []
    if desk.page > 0:
        pages.append(button(Verb.HISTORY, id_, texts("history.previous"), n=desk.page - 1, emoji="◀️"))
    if desk.page + 1 < seen.pages:
        pages.append(button(Verb.HISTORY, id_, texts("history.next"), n=desk.page + 1, emoji="▶️"))
    if desk.choosing:
        last = [button(Verb.HISTORY_CHOOSE, id_, texts("history.choose_all"), n=3, emoji="☑️")] if seen.total else []
        if desk.chosen:
            last.append(button(Verb.HISTORY_EXPORT, id_, texts("history.export"), emoji="📦"))
            if desk.own:
                last.append(button(Verb.HISTORY_DATASET, id_, texts("history.dataset"), n=1, emoji="🗂️"))
            last.append(
                button(
                    Verb.HISTORY_DELETE, id_, texts("history.delete_chosen"), n=1, emoji="🗑️",
                    style=discord.ButtonStyle.danger,
                )
            )  # fmt: skip
        last.append(button(Verb.HISTORY_CHOOSE, id_, texts("history.choose_end"), n=2))
        return [pages, last[:-2], last[-2:]]
    pages.append(button(Verb.HISTORY_SEARCH, id_, texts("history.search"), emoji="🔎"))
    if not desk.wanted.everything:
        pages.append(button(Verb.HISTORY_FILTER, id_, texts("history.clear"), n=3))
    more: list[AddressButton] = []
    if desk.own:
        key = "history.favourites_off" if desk.wanted.favourites else "history.favourites"
        more.append(button(Verb.HISTORY_FILTER, id_, texts(key), n=1, emoji="⭐"))
        if seen.stranded and not desk.wanted.stranded:
            label = texts("history.stranded_button", n=seen.stranded)
            more.append(button(Verb.HISTORY_FILTER, id_, label, n=2, emoji="📬"))
    if seen.total:
        more.append(button(Verb.HISTORY_CHOOSE, id_, texts("history.choose"), n=1, emoji="☑️"))
        if desk.own:
            more.append(button(Verb.HISTORY_EXPORT, id_, texts("history.export"), emoji="📦"))
    last = (
        [button(Verb.EXPORT_PART, seen.export_id, texts("history.export_ready"), emoji="📬")] if seen.export_id else []
    )
    return [pages, more, last]


def asked_card(
    desk_id: str, count: int, favourites: int, minutes: int, texts: Texts, *, one: bool
) -> discord.ui.LayoutView:
    view, box = new_card(RED)
    lines = [f"### {texts('history.delete.title')}", texts("history.delete.ask", n=count)]
    if favourites:
        lines.append("⭐ " + texts("history.delete.ask_favourites", n=favourites))
    lines.append("-# " + texts("history.delete.keeps", minutes=minutes))
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    yes = button(
        Verb.HISTORY_DELETE, desk_id, texts("history.delete.yes"), n=4 if one else 2, emoji="🗑️",
        style=discord.ButtonStyle.danger,
    )  # fmt: skip
    box.add_item(button_row([yes, button(Verb.HISTORY, desk_id, texts("history.delete.no"))]))
    view.add_item(box)
    return view


def gone_card(deletion_id: str, count: int, due_at: float, texts: Texts) -> discord.ui.LayoutView:
    view, box = new_card(GREY)
    when = f"<t:{int(due_at)}:R>"
    box.add_item(
        discord.ui.TextDisplay(
            f"{texts('history.delete.done', n=count)}\n-# {texts('history.delete.done_hint', when=when)}"
        )
    )
    undo = button(Verb.HISTORY_UNDO, deletion_id, texts("history.delete.undo"), emoji="↩️")
    box.add_item(button_row([undo]))
    view.add_item(box)
    return view


def back_card(count: int, texts: Texts) -> discord.ui.LayoutView:
    view, box = new_card(GREY)
    box.add_item(discord.ui.TextDisplay(texts("history.delete.undone", n=count)))
    view.add_item(box)
    return view


def _label(number: int, shot: Shot) -> str:
    star = "⭐ " if shot.favourite else ""
    return f"{number} · {star}{clipped(shot.prompt, LABEL_CHARS) or shot.action}"


def _hint(shot: Shot, texts: Texts) -> str:
    if shot.pruned:
        return texts("history.row_gone")
    day = shown_moment(shot.created_at)
    return texts("history.row", day=day, width=shot.width, height=shot.height, seed=shot.seed)


def _alt(number: int, shot: Shot, texts: Texts) -> str:
    key = "history.alt_gone" if shot.pruned else "history.alt"
    return clipped(texts(key, number=number, prompt=shot.prompt or shot.action), ALT_CHARS)


def clipped(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def new_card(colour: int) -> tuple[discord.ui.LayoutView, Box]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    return view, discord.ui.Container(accent_colour=colour)


def button_row(buttons: Collection[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
