"""The persistent list: as the persistent button, an address, whose choice comes with the press."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

import discord

from bot.ui.buttons import AddressButton, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, encode
from bot.ui.forms import NAME_LIMIT, OPTIONS_LIMIT

__all__ = ["Row", "chosen_value", "chosen_values", "offered_values", "select_row"]

PLACEHOLDER_LIMIT = 150

Row = tuple[str, str, str]
"""Value, label and description of an option; an empty description shows none."""


def select_row(
    verb: str,
    id_: str,
    placeholder: str,
    rows: Sequence[Row],
    current: str | Collection[str] | None = None,
    *,
    n: int | None = None,
    at_most: int | None = None,
) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    """One list in a row of its own; at most 25 of `rows` are shown, and there must be one. With `at_most` any number of
    them up to that may be chosen, and none, too; `current` are then those that are."""
    marked = {current} if isinstance(current, str) else set(current or ())
    select: discord.ui.Select[discord.ui.LayoutView] = discord.ui.Select(
        custom_id=encode(verb, id_, n),
        placeholder=placeholder[:PLACEHOLDER_LIMIT],
        min_values=1 if at_most is None else 0,
        max_values=1 if at_most is None else max(1, min(at_most, len(rows), OPTIONS_LIMIT)),
        options=[
            discord.SelectOption(
                label=label[:NAME_LIMIT],
                value=value[:NAME_LIMIT],
                description=hint[:NAME_LIMIT] or None,
                default=value in marked,
            )
            for value, label, hint in rows[:OPTIONS_LIMIT]
        ],
    )
    # A DynamicItem wraps any component; the class is named after its usual one.
    item = AddressButton(cast("discord.ui.Button[discord.ui.LayoutView]", select), Address(verb, id_, n))
    return discord.ui.ActionRow(in_layout(item))


def chosen_value(interaction: Interaction) -> str:
    """Empty where nothing was chosen."""
    return next(iter(chosen_values(interaction)), "")


def chosen_values(interaction: Interaction) -> list[str]:
    data = cast("Mapping[str, Any]", interaction.data or {})
    return [str(value) for value in cast("list[Any]", data.get("values") or [])]


def offered_values(interaction: Interaction, custom_id: str) -> list[str]:
    """What that list of the message offers which was pressed below: whoever answers it has seen no more."""
    components = interaction.message.components if interaction.message is not None else []
    found = [
        [option.value for option in item.options]
        for item in _within(components)
        if isinstance(item, discord.SelectMenu) and item.custom_id == custom_id
    ]
    return found[0] if found else []


def _within(components: Sequence[object]) -> Iterator[object]:
    for item in components:
        yield item
        yield from _within(getattr(item, "children", ()))
