"""The card of one picture of /history: its recipe, its kin, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.domain.history import Desk, Kin, lineage_lines, shown_moment
from bot.domain.mentions import neutral
from bot.i18n import Texts
from bot.storage.history import Shot
from bot.studio.history.cards import ALT_CHARS, BLUE, LABEL_CHARS, button_row, clipped, new_card
from bot.studio.history.tiles import tile_name
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row

__all__ = ["Opened", "Relative", "picture_card"]

PROMPT_CHARS = 700
TREE_LINES = 9
TREE_CHARS = 1500


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


def picture_card(opened: Opened, texts: Texts) -> discord.ui.LayoutView:
    view, box = new_card(BLUE)
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
        alt = clipped(shot.prompt, ALT_CHARS) or None
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
        (one.kin.id, clipped(_what(one.kin, texts), LABEL_CHARS), shown_moment(one.kin.created_at))
        for one in others
        if one.own
    ]
    if reachable:
        box.add_item(select_row(Verb.HISTORY_KIN, id_, texts("history.picture.kin"), reachable))
    for row in _picture_rows(opened, texts):
        box.add_item(button_row(row))
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
        first.append(button(Verb.HISTORY_DATASET, id_, texts("history.dataset"), n=2, emoji="🗂️"))
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
