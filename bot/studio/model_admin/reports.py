"""What admins read: who did what, what nobody uses, how full the disk is, which rules there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import discord

from bot.domain.amounts import size_text
from bot.domain.mentions import neutral, spoken
from bot.domain.model_rules import EVERYWHERE, ModelDefaults, Rule, Scope
from bot.domain.stewards import Space
from bot.i18n import Texts
from bot.library import LibraryFile
from bot.storage.model_audit import Entry
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb

__all__ = [
    "AUDIT_PAGE", "UNUSED_PAGE", "audit_card", "defaults_text", "plain_card", "rules_text", "space_card", "unused",
    "unused_card",
]  # fmt: skip

AUDIT_PAGE = 12
UNUSED_PAGE = 12
RULES_SHOWN = 25
BUTTON_NAME_CHARS = 40
DAY_S = 24 * 3600.0
COLOUR = 0x5865F2
_TEXT_CHARS = 3800


def plain_card(
    text: str, buttons: Sequence[AddressButton] = (), *, picture: str | None = None, colour: int = COLOUR
) -> discord.ui.LayoutView:
    """One text of at most 3800 characters, an attached picture by its name, and buttons below, five a row."""
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per answer: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=colour)
    box.add_item(discord.ui.TextDisplay(text if len(text) <= _TEXT_CHARS else text[: _TEXT_CHARS - 1] + "…"))
    if picture is not None:
        box.add_item(discord.ui.MediaGallery(discord.MediaGalleryItem(f"attachment://{picture}")))
    for at in range(0, len(buttons), 5):
        row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, buttons[at : at + 5]))
        box.add_item(row)
    view.add_item(box)
    return view


def _turns(verb: str, id_: str, number: int, pages: int, texts: Texts) -> list[AddressButton]:
    found: list[AddressButton] = []
    if number > 0:
        found.append(button(verb, id_, texts("shelf.previous"), n=number - 1, emoji="◀️"))
    if number + 1 < min(pages, 1000):
        found.append(button(verb, id_, texts("shelf.next"), n=number + 1, emoji="▶️"))
    return found


def audit_card(
    entries: Sequence[Entry],
    total: int,
    number: int,
    guild_id: int | None,
    texts: Texts,
    *,
    undoable: Collection[str | None] = (),
) -> discord.ui.LayoutView:
    """`guild_id` None is the operator's, of all servers; `undoable` are the removals that can still be undone."""
    lines = [texts("model_admin.audit_title")]
    if not entries:
        lines.append(texts("model_admin.audit_none"))
    for entry in entries:
        what = texts(f"model_admin.did.{entry.action}")
        name = f"**{spoken(entry.name)}**" if entry.name else ""
        kind = texts(f"kind.{entry.kind}") if entry.kind else ""
        # Mentions of channels and roles are ours; whatever else stands there comes from a person.
        detail = entry.detail if entry.detail.startswith(("<#", "<@&")) else neutral(entry.detail, 80)
        parts = [f"<t:{int(entry.at)}:f> <@{entry.user_id}> {what}", kind, name, detail]
        lines.append("-# " + " · ".join(part for part in parts if part))
    pages = -(-total // AUDIT_PAGE)
    address = str(guild_id or 0)
    buttons = [
        button(
            Verb.MODEL_UNDO,
            entry.undo_id,
            texts("model_admin.undo_one", name=entry.name[:BUTTON_NAME_CHARS]),
            n=number,
            emoji="↩️",
        )
        for entry in entries
        if entry.undo_id is not None and entry.undo_id in undoable
    ]
    return plain_card("\n".join(lines), [*buttons, *_turns(Verb.MODEL_AUDIT, address, number, pages, texts)])


def unused(files: Sequence[LibraryFile], days: int, now: float) -> list[LibraryFile]:
    """Files of ours that nobody used for so long, nor added since: the largest first, of equals the oldest."""
    since = now - days * DAY_S
    found = [file for file in files if not file.read_only and max(file.last_used_at or 0.0, file.added_at) < since]
    return sorted(found, key=lambda file: (-file.size_bytes, file.last_used_at or file.added_at, file.name))


def unused_card(found: Sequence[LibraryFile], number: int, days: int, texts: Texts) -> discord.ui.LayoutView:
    pages = max(1, -(-len(found) // UNUSED_PAGE))
    number = min(number, pages - 1)
    shown = found[number * UNUSED_PAGE : (number + 1) * UNUSED_PAGE]
    total = size_text(sum(file.size_bytes for file in found))
    lines = [texts("model_admin.unused_title", n=days)]
    lines.append(
        texts("model_admin.unused_total", n=len(found), size=total) if found else texts("model_admin.unused_none")
    )
    for file in shown:
        used = (
            texts("model_admin.last_used", when=f"<t:{int(file.last_used_at)}:R>")
            if file.last_used_at
            else texts("model_admin.never_used", when=f"<t:{int(file.added_at)}:R>")
        )
        lines.append(
            f"**{spoken(file.name)}** · {texts(f'kind.{file.kind}')} · {size_text(file.size_bytes)}\n-# {used}"
        )
    return plain_card("\n".join(lines), _turns(Verb.MODEL_UNUSED, str(days), number, pages, texts))


def space_card(space: Space, owner: int | None, free_bytes: int | None, texts: Texts) -> discord.ui.LayoutView:
    """`owner` is the server whose room it is, None for the operator; `free_bytes` None stays unsaid."""
    lines = [texts("model_admin.disk_all", size=size_text(space.all))]
    if space.budget is not None:
        lines.append(texts("model_admin.disk_budget", size=size_text(space.budget)))
    if space.quota is not None:
        lines.append(texts("model_admin.disk_quota", size=size_text(space.own), quota=size_text(space.quota)))
    if space.trash:
        lines.append(texts("model_admin.disk_trash", size=size_text(space.trash)))
    if free_bytes is not None:
        lines.append(texts("model_admin.disk_free", size=size_text(free_bytes)))
    if space.over_budget:
        lines.append("⚠️ " + texts("model_admin.over_budget"))
    elif space.budget_near:
        lines.append("⚠️ " + texts("model_admin.near_budget"))
    buttons: list[AddressButton] = []
    if space.trash:
        empty = texts("model_admin.empty_trash")
        danger = discord.ButtonStyle.danger
        buttons.append(button(Verb.TRASH_EMPTY, str(owner or 0), empty, style=danger, emoji="🗑️"))
    return plain_card("\n".join(lines), buttons)


def rules_text(rules: Sequence[Rule], names: dict[str, str], texts: Texts) -> str:
    """`names` go by file id; a rule about a file that is gone is left out."""
    shown = [rule for rule in rules if rule.file_id in names]
    if not shown:
        return texts("model_admin.rules_none")
    lines = [texts("model_admin.rules_title")]
    for rule in sorted(shown, key=lambda rule: (names[rule.file_id].casefold(), rule.scope, rule.target_id))[
        :RULES_SHOWN
    ]:
        sign = "✅" if rule.enabled else "🚫"
        lines.append(f"{sign} **{spoken(names[rule.file_id])}** · {_place(rule, texts)}")
    if len(shown) > RULES_SHOWN:
        lines.append(texts("model_admin.rules_more", n=len(shown) - RULES_SHOWN))
    return "\n".join(lines)


def _place(rule: Rule, texts: Texts) -> str:
    if rule.guild_id == EVERYWHERE:
        return texts("model_admin.place_everywhere")
    match rule.scope:
        case Scope.CHANNEL:
            return f"<#{rule.target_id}>"
        case Scope.ROLE:
            return f"<@&{rule.target_id}>"
        case Scope.SERVER:
            return texts("model_admin.place_server")


def defaults_text(defaults: ModelDefaults, place: str, texts: Texts) -> str:
    """`place` is a channel's mention, or empty for the server."""
    head = texts("model_admin.defaults_channel", channel=place) if place else texts("model_admin.defaults_server")
    nothing = texts("model_admin.default_none")
    rows = [
        (texts("model_admin.default_checkpoint"), spoken(defaults.checkpoint) if defaults.checkpoint else nothing),
        (texts("model_admin.default_vae"), spoken(defaults.vae) if defaults.vae else nothing),
        (texts("model_admin.default_clip_skip"), str(defaults.clip_skip) if defaults.clip_skip else nothing),
    ]
    return "\n".join([head, *(f"**{label}** {value}" for label, value in rows)])
