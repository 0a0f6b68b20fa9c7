"""The pages of the /limits panel: how much, where and who, adult content."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import discord

from bot.domain.safety.limits import PLAIN, Limit
from bot.domain.safety.rules import ServerRules, Shown
from bot.i18n import Texts
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Address, Verb, encode
from bot.ui.selects import select_row

__all__ = ["PAGES", "limits_page", "page_card"]

PAGES = ("amounts", "places", "adult")
LISTED = 12
MANY = 25
_CHANNELS = [
    discord.ChannelType.text, discord.ChannelType.voice, discord.ChannelType.stage_voice, discord.ChannelType.forum,
    discord.ChannelType.media,
]  # fmt: skip
_AUDIT_CHANNELS = [discord.ChannelType.text, discord.ChannelType.public_thread, discord.ChannelType.private_thread]

_Row = discord.ui.ActionRow[discord.ui.LayoutView]


def page_card(
    page: str, rules: ServerRules, texts: Texts, *, direct: bool, classifier: str | None, audit_closed: bool = False
) -> discord.ui.LayoutView:
    """`direct`: in a direct message, where the operator sets what holds for everybody. `classifier` is its name.
    `audit_closed`: the bot may not write to the chosen audit channel."""
    if direct or page == "amounts":
        return limits_page(rules, PLAIN, texts, direct=direct)
    view, box = _box(texts(f"limits.{page}_title"))
    if page == "places":
        box.add_item(discord.ui.TextDisplay(texts("limits.places_hint")))
        box.add_item(_channels("channels", texts("limits.pick_channels"), rules.channels))
        box.add_item(_roles("roles", texts("limits.pick_roles"), rules.roles))
        closed = f"\n{texts('limits.audit_closed')}" if audit_closed else ""
        box.add_item(discord.ui.TextDisplay(texts("limits.audit_hint") + closed))
        audit = frozenset({rules.audit_channel} if rules.audit_channel is not None else ())
        box.add_item(_channels("audit", texts("limits.pick_audit"), audit, at_most=1, kinds=_AUDIT_CHANNELS))
    else:
        looks = texts("limits.classifier", name=classifier) if classifier else texts("limits.classifier_none")
        box.add_item(discord.ui.TextDisplay(f"{texts('limits.adult_hint')}\n{looks}"))
        box.add_item(_channels("adult", texts("limits.pick_adult"), rules.adult_channels))
        rows = [(shown.value, texts(f"limits.shown_{shown}"), "") for shown in Shown]
        box.add_item(discord.ui.TextDisplay(texts("limits.adult_shown")))
        box.add_item(select_row(Verb.SAFETY_SET, "shown", texts("limits.adult_shown"), rows, rules.adult_shown.value))
        box.add_item(discord.ui.TextDisplay(texts("limits.elsewhere_shown")))
        box.add_item(
            select_row(
                Verb.SAFETY_SET, "elsewhere", texts("limits.elsewhere_shown"), rows[2:], rules.elsewhere_shown.value
            )
        )
    box.add_item(_tabs(page, texts))
    view.add_item(box)
    return view


def limits_page(rules: ServerRules, role: int, texts: Texts, *, direct: bool) -> discord.ui.LayoutView:
    """Everybody's limits, or one role's, and which roles have some."""
    title = texts("limits.operator_title") if direct else texts("limits.amounts_title")
    view, box = _box(title)
    whom = texts("limits.everybody") if role == PLAIN else f"<@&{role}>"
    values = rules.limits.get(role, {})
    lines = [texts("limits.for", whom=whom)]
    lines += [texts(f"limits.line_{limit}", value=_shown(limit, values.get(limit), texts)) for limit in Limit]
    others = sorted(one for one in rules.limits if one not in (PLAIN, role))
    if others:
        lines.append(texts("limits.other_roles", roles=", ".join(f"<@&{one}>" for one in others[:LISTED])))
    lines.append("-# " + texts("limits.operator_hint" if direct else "limits.amounts_hint"))
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    if not direct:
        box.add_item(_roles("role", texts("limits.pick_role"), frozenset({role} - {PLAIN}), at_most=1))
    edits = [
        button(Verb.SAFETY_EDIT, str(role), texts("limits.edit_day"), n=0, style=discord.ButtonStyle.primary),
        button(Verb.SAFETY_EDIT, str(role), texts("limits.edit_sizes"), n=1, style=discord.ButtonStyle.primary),
    ]
    if values:
        edits.append(button(Verb.SAFETY_CLEAR, str(role), texts("limits.clear"), style=discord.ButtonStyle.danger))
    row: _Row = discord.ui.ActionRow(*map(in_layout, edits))
    box.add_item(row)
    if not direct:
        box.add_item(_tabs("amounts", texts))
    view.add_item(box)
    return view


def _shown(limit: Limit, value: int | None, texts: Texts) -> str:
    if value is None:
        return texts("limits.unlimited")
    return str(round(value / 60) if limit is Limit.GPU_S else value)


def _box(title: str) -> tuple[discord.ui.LayoutView, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
    box.add_item(discord.ui.TextDisplay(title))
    return view, box


def _tabs(current: str, texts: Texts) -> _Row:
    tabs = [
        button(
            Verb.SAFETY_PAGE,
            page,
            texts(f"limits.tab_{page}"),
            style=discord.ButtonStyle.primary if page == current else discord.ButtonStyle.secondary,
        )
        for page in PAGES
    ]
    return discord.ui.ActionRow(*map(in_layout, tabs))


def _channels(
    what: str,
    placeholder: str,
    chosen: Collection[int],
    *,
    at_most: int = MANY,
    kinds: list[discord.ChannelType] = _CHANNELS,
) -> _Row:
    select: discord.ui.ChannelSelect[discord.ui.LayoutView] = discord.ui.ChannelSelect(
        custom_id=encode(Verb.SAFETY_SET, what),
        placeholder=placeholder[:150],
        min_values=0,
        max_values=at_most,
        channel_types=kinds,
        default_values=[
            discord.SelectDefaultValue(id=one, type=discord.SelectDefaultValueType.channel)
            for one in sorted(chosen)[:at_most]
        ],
    )
    return _row(select, what)


def _roles(what: str, placeholder: str, chosen: Collection[int], *, at_most: int = MANY) -> _Row:
    select: discord.ui.RoleSelect[discord.ui.LayoutView] = discord.ui.RoleSelect(
        custom_id=encode(Verb.SAFETY_SET, what),
        placeholder=placeholder[:150],
        min_values=0,
        max_values=at_most,
        default_values=[
            discord.SelectDefaultValue(id=one, type=discord.SelectDefaultValueType.role)
            for one in sorted(chosen)[:at_most]
        ],
    )
    return _row(select, what)


def _row(select: Any, what: str) -> _Row:
    item = AddressButton(cast("discord.ui.Button[discord.ui.LayoutView]", select), Address(Verb.SAFETY_SET, what))
    return discord.ui.ActionRow(in_layout(item))
