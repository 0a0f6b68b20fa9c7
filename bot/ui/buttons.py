"""The one persistent button: it works after a restart, on results of results, and for ever.

Its custom_id is an address; what a press does is looked up in the database by whoever handles it.
"""

from __future__ import annotations

import re
from typing import Any, Self, cast

import discord

from bot.errors import UserFacingError
from bot.ui.client import Interaction, StudioClient
from bot.ui.codec import TEMPLATE, Address, encode, parse
from bot.ui.door import tell_error

__all__ = ["AddressButton", "button", "in_layout"]


class AddressButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.LayoutView]], template=TEMPLATE):
    def __init__(self, item: discord.ui.Button[discord.ui.LayoutView], address: Address) -> None:
        super().__init__(item)
        self.address = address

    @classmethod
    async def from_custom_id(
        cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        address = parse(match.string) or Address("", "")
        return cls(cast("discord.ui.Button[discord.ui.LayoutView]", item), address)

    async def callback(self, interaction: Interaction) -> None:
        try:
            if not self.address.verb:
                raise UserFacingError("button_unknown")
            await cast("StudioClient", interaction.client).presses.pressed(interaction, self.address)
        except Exception as error:
            await tell_error(interaction, error)


def in_layout(item: AddressButton) -> discord.ui.Item[discord.ui.LayoutView]:
    """discord.py types a DynamicItem for classic and layout views at once, which no layout container accepts."""
    return cast("discord.ui.Item[discord.ui.LayoutView]", item)


def button(
    verb: str,
    id_: str,
    label: str,
    *,
    n: int | None = None,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    emoji: str | None = None,
) -> AddressButton:
    """A button for a card. An empty label leaves the emoji alone."""
    item: discord.ui.Button[discord.ui.LayoutView] = discord.ui.Button(
        style=style, label=label or None, emoji=emoji, custom_id=encode(verb, id_, n)
    )
    return AddressButton(item, Address(verb, id_, n))
