"""/blend: two to five pictures become one, through an IP-Adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.image_prompts import STRENGTH, STRENGTH_MAX, adapters_for
from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS
from bot.studio import Studio
from bot.studio.looking.blending import BlendWish
from bot.studio.looking.pointed import found_attachment
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
OPTIONS = (
    "image1", "image2", "image3", "image4", "image5", "prompt", "shares", "strength", "aspect", "negative", "style",
    "checkpoint", "adapter", "count", "seed",
)  # fmt: skip


class Blend(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.blend.name"), description=keyed("command.blend.description"))
    @localised_options("blend", *OPTIONS)
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS]
    )
    async def blend(
        self,
        interaction: Interaction,
        image1: discord.Attachment,
        image2: discord.Attachment,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        image5: discord.Attachment | None = None,
        prompt: Range[str, 0, 6000] = "",
        shares: Range[str, 1, 60] = "",
        strength: Range[float, 0.0, STRENGTH_MAX] = STRENGTH,
        aspect: str | None = None,
        negative: Range[str, 0, 6000] | None = None,
        style: str | None = None,
        checkpoint: str | None = None,
        adapter: str | None = None,
        count: Range[int, 1, 4] | None = None,
        seed: int | None = None,
    ) -> None:
        given = [image for image in (image1, image2, image3, image4, image5) if image is not None]
        named = self._studio.model_names.named
        wishes = Parameters(aspect=aspect, checkpoint=named("checkpoint", checkpoint), count=count, seed=seed)
        wish = BlendWish(prompt, negative, strength, shares, named("controlnet", adapter), style, wishes)
        await self._studio.looking.prompting.begin(interaction, [*map(found_attachment, given)], wish)

    @blend.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @blend.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current)

    @blend.autocomplete("adapter")
    async def _adapters(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, adapters_for(None, self._studio.models.facts(where_of(interaction))))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Blend(bot.studio))
