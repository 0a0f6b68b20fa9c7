"""/detail-fix: faces, hands and whatever a detector finds in a finished picture, drawn once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from bot.studio.details.fixing import FixWish
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options
from gpu_worker.language.detectors import FIX_WORDS, usable_detectors

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range


class Details(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.detail_fix.name"), description=keyed("command.detail_fix.description"))
    @localised_options(
        "detail_fix", "image", "picture", "what", "prompt", "negative", "denoise", "confidence", "size", "steps",
        "most", "padding", "seed",
    )  # fmt: skip
    async def detail_fix(
        self,
        interaction: Interaction,
        image: discord.Attachment | None = None,
        picture: str | None = None,
        what: Range[str, 1, 200] = "face",
        prompt: Range[str, 1, 4000] | None = None,
        negative: Range[str, 1, 4000] | None = None,
        denoise: Range[float, 0, 1] | None = None,
        confidence: Range[float, 0, 1] | None = None,
        size: Range[str, 1, 20] | None = None,
        steps: Range[int, 1, 150] | None = None,
        most: Range[int, 1, 32] | None = None,
        padding: Range[int, 0, 256] | None = None,
        seed: int | None = None,
    ) -> None:
        found = await self._studio.looking.pointed.one(interaction, image, picture)
        wish = FixWish(
            what=what, prompt=prompt, negative=negative, denoise=denoise, confidence=confidence, size=size, steps=steps,
            most=most, padding=padding, seed=seed,
        )  # fmt: skip
        await self._studio.details.fixing.begin(interaction, found, wish)

    @detail_fix.autocomplete("picture")
    async def _pictures(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [
            app_commands.Choice(name=shown[:100], value=value)
            for value, shown in await self._studio.looking.pointed.recent(interaction, current)
        ]

    @detail_fix.autocomplete("what")
    async def _detectors(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        there = usable_detectors(self._studio.models.facts(where_of(interaction)))
        words = [word for word in FIX_WORDS if any(word in name for name in there)]
        both = ["face, hand"] if {"face", "hand"} <= {*words} else []
        return choices(current, [*words, *both, *there])


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Details(bot.studio))
