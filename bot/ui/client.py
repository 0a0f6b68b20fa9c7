"""What the parts of the user interface may ask of the client they run in."""

from __future__ import annotations

from typing import Any, Protocol

import discord

from bot.ui.codec import Address

__all__ = ["Interaction", "Presses", "StudioClient"]

Interaction = discord.Interaction[Any]


class Presses(Protocol):
    """Where every press of a button and every sent form arrives, however old its message is."""

    async def pressed(self, interaction: Interaction, address: Address) -> None: ...


class StudioClient(Protocol):
    @property
    def presses(self) -> Presses: ...
