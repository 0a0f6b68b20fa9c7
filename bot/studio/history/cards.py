"""The cards of /history: a page of pictures, one picture, what is asked before and said after a deletion.

Limits (PLATFORM.md): 40 components and 4000 characters of text in all; at most four buttons a row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import discord

from bot.domain.history import PAGE, PAGES_MAX, Desk, Kin, lineage_lines, shown_moment
from bot.domain.mentions import neutral, spoken
from bot.i18n import Texts
from bot.storage.history import Shot
from bot.studio.history.tiles import tile_name
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row

__all__ = [
    "Looked",
    "Opened",
    "Relative",
    "asked_card",
    "back_card",
    "gallery_card",
    "gone_card",
    "message_link",
    "picture_card",
]

BLUE, RED, GREY = 0x5865F2, 0xDA373C, 0x80848E
PROMPT_CHARS = 700
ALT_CHARS = 1000
LABEL_CHARS = 90
TREE_LINES = 9
TREE_CHARS = 1500

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


@dataclass(frozen=True)
class Relative:
    """A picture of a lineage tree; `link` leads to its message, `own` are pictures that may be opened."""

    kin: Kin
    user_id: int
    link: str | None
    own: bool


@dataclass(frozen=True)
class Opened:
    desk_id: str
    desk: Desk
    shot: Shot
    shown: bool
    """Whether there is anything to show."""
    small: bool
    veiled: bool = False
    """Whether it may not be seen here."""
    relatives: Sequence[Relative] = ()
    newer: bool = False
    older: bool = False
    sends: Sequence[str] = ()


def message_link(guild_id: int | None, channel_id: int, message_id: int) -> str:
    return f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}"


def gallery_card(seen: Looked, texts: Texts) -> discord.ui.LayoutView:
    view, box = _card(BLUE)
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
        box.add_item(_row(row))
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
            last.append(
                button(
                    Verb.HISTORY_DELETE, id_, texts("history.delete_chosen"), n=1, emoji="🗑️",
                    style=discord.ButtonStyle.danger,
                )
            )  # fmt: skip
        last.append(button(Verb.HISTORY_CHOOSE, id_, texts("history.choose_end"), n=2))
        return [pages, last]
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


def picture_card(opened: Opened, texts: Texts) -> discord.ui.LayoutView:
    view, box = _card(BLUE)
    shot, id_ = opened.shot, opened.desk_id
    day = f"<t:{int(shot.created_at)}:f>"
    line = texts(
        "history.picture.by_line", day=day, width=shot.width, height=shot.height, seed=shot.seed,
        model=neutral(shot.model, LABEL_CHARS),
    )  # fmt: skip
    head = f"**{neutral(shot.prompt, PROMPT_CHARS)}**\n-# {line}" if shot.prompt else f"-# {line}"
    small: list[str] = []
    if shot.private:
        small.append(texts("history.picture.message_private"))
    else:
        link = next((one.link for one in opened.relatives if one.kin.here), None)
        small += [texts("history.picture.message", link=link)] if link else []
    if opened.veiled:
        small.append(texts("history.picture.veiled"))
    elif shot.pruned or not opened.shown:
        small.append(texts("history.picture.gone"))
    elif opened.small:
        small.append(texts("history.picture.shown_small"))
    box.add_item(discord.ui.TextDisplay(head + "".join(f"\n-# {text}" for text in small)))
    if opened.shown:
        alt = _clip(shot.prompt, ALT_CHARS) or None
        picture = discord.MediaGalleryItem(f"attachment://{tile_name(shot)}", description=alt)
        box.add_item(discord.ui.MediaGallery(picture))
    others = [one for one in opened.relatives if not one.kin.here]
    if others:
        box.add_item(discord.ui.TextDisplay(_tree(opened.relatives, shot.user_id, texts)))
    rows: list[Row] = [(one, texts(f"history.picture.send_{one}"), texts(f"history.picture.send_{one}_hint"))
                       for one in opened.sends]  # fmt: skip
    if rows:
        box.add_item(select_row(Verb.HISTORY_SEND, id_, texts("history.picture.send"), rows))
    reachable: list[Row] = [
        (one.kin.id, _clip(_what(one.kin, texts), LABEL_CHARS), shown_moment(one.kin.created_at))
        for one in others
        if one.own
    ]
    if reachable:
        box.add_item(select_row(Verb.HISTORY_KIN, id_, texts("history.picture.kin"), reachable))
    for row in _picture_rows(opened, texts):
        box.add_item(_row(row))
    view.add_item(box)
    return view


def _picture_rows(opened: Opened, texts: Texts) -> list[list[AddressButton]]:
    id_, shot = opened.desk_id, opened.shot
    first = [button(Verb.HISTORY, id_, texts("history.picture.back"), emoji="↩️")]
    if opened.newer:
        first.append(button(Verb.HISTORY_PICTURE, id_, texts("history.picture.newer"), n=3, emoji="◀️"))
    if opened.older:
        first.append(button(Verb.HISTORY_PICTURE, id_, texts("history.picture.older"), n=4, emoji="▶️"))
    second: list[AddressButton] = []
    if opened.desk.own:
        style = discord.ButtonStyle.success if shot.favourite else discord.ButtonStyle.secondary
        label = texts("history.picture.unkeep" if shot.favourite else "history.picture.keep")
        second.append(button(Verb.HISTORY_PICTURE, id_, label, n=1, emoji="⭐", style=style))
    if shot.pruned:
        second.append(
            button(
                Verb.HISTORY_PICTURE, id_, texts("history.picture.again"), n=5, emoji="🎨",
                style=discord.ButtonStyle.primary,
            )
        )  # fmt: skip
    elif opened.desk.own:
        second.append(button(Verb.HISTORY_PICTURE, id_, texts("history.picture.file"), n=2, emoji="📎"))
    second.append(button(Verb.INFO, shot.id, texts("history.picture.info"), emoji="ℹ️"))
    delete = button(
        Verb.HISTORY_DELETE, id_, texts("history.picture.delete"), n=3, emoji="🗑️", style=discord.ButtonStyle.danger
    )
    return [first, [*second, delete]]


def _tree(relatives: Sequence[Relative], owner: int, texts: Texts) -> str:
    known = {one.kin.id: one for one in relatives}

    def say(kin: Kin) -> str:
        one = known[kin.id]
        values = {"what": _what(kin, texts), "day": f"<t:{int(kin.created_at)}:d>"}
        if kin.here:
            return texts("history.picture.lineage_here", **values)
        line = (
            texts("history.picture.lineage_linked", link=one.link, **values)
            if one.link
            else texts("history.picture.lineage_row", **values)
        )
        if one.user_id != owner:
            line += " " + texts("history.picture.lineage_by", user=f"<@{one.user_id}>")
        return line

    lines = lineage_lines([one.kin for one in relatives], say, TREE_LINES)
    while sum(map(len, lines)) > TREE_CHARS:
        lines.pop()
    return "\n".join([f"**{texts('history.picture.lineage')}**", *lines])


def _what(kin: Kin, texts: Texts) -> str:
    key = f"card.action.{kin.action}"
    return texts(key) if texts.has(key) else texts("history.picture.drawn")


def asked_card(
    desk_id: str, count: int, favourites: int, minutes: int, texts: Texts, *, one: bool
) -> discord.ui.LayoutView:
    view, box = _card(RED)
    lines = [f"### {texts('history.delete.title')}", texts("history.delete.ask", n=count)]
    if favourites:
        lines.append("⭐ " + texts("history.delete.ask_favourites", n=favourites))
    lines.append("-# " + texts("history.delete.keeps", minutes=minutes))
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    yes = button(
        Verb.HISTORY_DELETE, desk_id, texts("history.delete.yes"), n=4 if one else 2, emoji="🗑️",
        style=discord.ButtonStyle.danger,
    )  # fmt: skip
    box.add_item(_row([yes, button(Verb.HISTORY, desk_id, texts("history.delete.no"))]))
    view.add_item(box)
    return view


def gone_card(deletion_id: str, count: int, due_at: float, texts: Texts) -> discord.ui.LayoutView:
    view, box = _card(GREY)
    when = f"<t:{int(due_at)}:R>"
    box.add_item(
        discord.ui.TextDisplay(
            f"{texts('history.delete.done', n=count)}\n-# {texts('history.delete.done_hint', when=when)}"
        )
    )
    undo = button(Verb.HISTORY_UNDO, deletion_id, texts("history.delete.undo"), emoji="↩️")
    box.add_item(_row([undo]))
    view.add_item(box)
    return view


def back_card(count: int, texts: Texts) -> discord.ui.LayoutView:
    view, box = _card(GREY)
    box.add_item(discord.ui.TextDisplay(texts("history.delete.undone", n=count)))
    view.add_item(box)
    return view


def _label(number: int, shot: Shot) -> str:
    star = "⭐ " if shot.favourite else ""
    return f"{number} · {star}{_clip(shot.prompt, LABEL_CHARS) or shot.action}"


def _hint(shot: Shot, texts: Texts) -> str:
    if shot.pruned:
        return texts("history.row_gone")
    day = shown_moment(shot.created_at)
    return texts("history.row", day=day, width=shot.width, height=shot.height, seed=shot.seed)


def _alt(number: int, shot: Shot, texts: Texts) -> str:
    key = "history.alt_gone" if shot.pruned else "history.alt"
    return _clip(texts(key, number=number, prompt=shot.prompt or shot.action), ALT_CHARS)


def _clip(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _card(colour: int) -> tuple[discord.ui.LayoutView, Box]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    return view, discord.ui.Container(accent_colour=colour)


def _row(buttons: Collection[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
