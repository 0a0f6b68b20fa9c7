"""The panel of /settings: what holds, whose word each value is, and a button for each form.

Limits (PLATFORM.md): 40 components and 4000 characters of text in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.domain.mentions import neutral
from bot.domain.preferences import KEYS, Group, Key, Level, Resolved
from bot.i18n import Texts
from bot.studio.settings_form import keys_of, shown_value
from bot.ui.buttons import button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import select_row

__all__ = ["Shown", "settings_card"]

BLUE = 0x5865F2
VALUE_CHARS = 160
NOTE_CHARS = 300


@dataclass(frozen=True)
class Shown:
    """`owner` is whose panel it is, as an address; `owners` those that this person may open, with their levels;
    `useless` are keys whose model is gone or disabled here."""

    owner: str
    level: Level
    owners: Sequence[tuple[str, Level]]
    resolved: Mapping[str, Resolved[Any]]
    own: Mapping[str, Any]
    useless: frozenset[str]


def settings_card(shown: Shown, texts: Texts, note: str = "", *, asking: bool = False) -> discord.ui.LayoutView:
    """With `asking` the panel asks whether really everything of this level shall go."""
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per panel: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
    head = f"### {texts(f'settings.title.{shown.level}')}\n-# {texts(f'settings.about.{shown.level}')}"
    box.add_item(discord.ui.TextDisplay(head))
    if len(shown.owners) > 1:
        rows = [(owner, texts(f"settings.title.{level}"), "") for owner, level in shown.owners]
        box.add_item(select_row(Verb.SETTINGS, shown.owner, texts("settings.levels"), rows, shown.owner))
    for group in Group:
        lines = [_line(key, shown, texts) for key in _shown_keys(group, shown.level)]
        if lines:
            box.add_item(discord.ui.TextDisplay("\n".join([f"**{texts(f'settings.group.{group}')}**", *lines])))
    if note:
        box.add_item(discord.ui.TextDisplay(f"-# {neutral(note, NOTE_CHARS)}"))
    forms: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow()
    for number, group in enumerate(Group):
        if keys_of(group, shown.level):
            label = texts(f"settings.group.{group}")
            forms.add_item(in_layout(button(Verb.SETTINGS_OPEN, shown.owner, label, n=number, emoji="✏️")))
    box.add_item(forms)
    if shown.own:
        box.add_item(_reset(shown.owner, texts, asking=asking))
    view.add_item(box)
    return view


def _reset(owner: str, texts: Texts, *, asking: bool) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    if not asking:
        return discord.ui.ActionRow(in_layout(button(Verb.SETTINGS_RESET, owner, texts("settings.reset"), emoji="↩️")))
    danger = discord.ButtonStyle.danger
    return discord.ui.ActionRow(
        in_layout(button(Verb.SETTINGS_RESET, owner, texts("settings.reset_yes"), n=1, style=danger)),
        in_layout(button(Verb.SETTINGS_RESET, owner, texts("settings.reset_no"), n=2)),
    )


def _shown_keys(group: Group, level: Level) -> list[Key[Any]]:
    """A user sees what admins decide for them, too."""
    if level is Level.USER:
        return [key for key in KEYS.values() if key.group is group]
    return keys_of(group, level)


def _line(key: Key[Any], shown: Shown, texts: Texts) -> str:
    found = shown.resolved[key.name]
    value = shown_value(key, found.value, texts)
    if isinstance(found.value, str):
        value = neutral(value, VALUE_CHARS)
    source = texts("settings.from.built_in") if found.level is None else _source(found, shown, texts)
    line = f"{texts(f'setting.{key.name}.name')}: **{value}** · *{source}*"
    return f"{line} · ⚠️ {texts('settings.useless')}" if key.name in shown.useless else line


def _source(found: Resolved[Any], shown: Shown, texts: Texts) -> str:
    assert found.level is not None
    if found.level is Level.CHANNEL:
        return f"<#{found.owner_id}>"
    return texts("settings.from.own") if found.level is shown.level else texts(f"settings.from.{found.level}")
