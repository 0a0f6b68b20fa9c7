"""The persistent list: as the persistent button, an address, whose choice comes with the press."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import discord

from bot.ui.buttons import AddressButton, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, encode
from bot.ui.forms import NAME_LIMIT, OPTIONS_LIMIT

__all__ = ["Row", "chosen_value", "select_row"]

PLACEHOLDER_LIMIT = 150

Row = tuple[str, str, str]
"""Value, label and description of an option; an empty description shows none."""


def select_row(
    verb: str, id_: str, placeholder: str, rows: Sequence[Row], current: str | None = None
) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    """One list in a row of its own; at most 25 of `rows` are shown, and there must be one."""
    select: discord.ui.Select[discord.ui.LayoutView] = discord.ui.Select(
        custom_id=encode(verb, id_),
        placeholder=placeholder[:PLACEHOLDER_LIMIT],
        options=[
            discord.SelectOption(
                label=label[:NAME_LIMIT],
                value=value[:NAME_LIMIT],
                description=hint[:NAME_LIMIT] or None,
                default=value == current,
            )
            for value, label, hint in rows[:OPTIONS_LIMIT]
        ],
    )
    # A DynamicItem wraps any component; the class is named after its usual one.
    item = AddressButton(cast("discord.ui.Button[discord.ui.LayoutView]", select), Address(verb, id_))
    return discord.ui.ActionRow(in_layout(item))


def chosen_value(interaction: Interaction) -> str:
    """Empty where nothing was chosen."""
    data = cast("Mapping[str, Any]", interaction.data or {})
    values = cast("list[str]", data.get("values") or [])
    return str(values[0]) if values else ""
