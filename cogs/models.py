"""/models and /loras: browsers of what can be drawn with."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from discord import app_commands
from discord.ext import commands

from bot.domain.shelves import Shelf, base_of, bases
from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options
from gpu_worker.protocol.messages import ModelKind

if TYPE_CHECKING:
    from bot.app import PincelBot

KINDS: tuple[ModelKind, ...] = get_args(ModelKind)
KIND_CHOICES = [app_commands.Choice(name=keyed(f"choice.kind.{kind}"), value=kind) for kind in KINDS]
Range = app_commands.Range


class Models(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.models.name"), description=keyed("command.models.description"))
    @localised_options("models", "search", "base", "kind")
    @app_commands.choices(kind=KIND_CHOICES)
    async def models(
        self,
        interaction: Interaction,
        search: Range[str, 1, 100] | None = None,
        base: Range[str, 1, 100] | None = None,
        kind: str | None = None,
    ) -> None:
        shelf = Shelf.model_validate({"kind": kind, "search": search or "", "base": self._base(base)})
        await self._studio.browser.open(interaction, shelf)

    @app_commands.command(name=keyed("command.loras.name"), description=keyed("command.loras.description"))
    @localised_options("loras", "search", "base")
    async def loras(
        self,
        interaction: Interaction,
        search: Range[str, 1, 100] | None = None,
        base: Range[str, 1, 100] | None = None,
    ) -> None:
        shelf = Shelf(kind="lora", fixed=True, search=search or "", base=self._base(base))
        await self._studio.browser.open(interaction, shelf)

    def _base(self, typed: str | None) -> str | None:
        """As files say it, whatever its case; what no file says finds nothing, and the card says so."""
        if typed is None:
            return None
        known = (base for file in self._studio.library.files() if (base := base_of(file)))
        return next((base for base in known if base.casefold() == typed.strip().casefold()), typed)

    @models.autocomplete("base")
    @loras.autocomplete("base")
    async def _bases(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, bases(self._studio.library.files()))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Models(bot.studio))
