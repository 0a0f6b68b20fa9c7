"""/ultimate: a finished picture enlarged and drawn again tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.models import LATENT_UPSCALERS, UPSCALERS
from bot.domain.ultimate import DENOISE, FACTOR_MAX, REDRAWS, SEAMS, UltimateWish
from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from gpu_worker.protocol.specs import SEED_MAX, ULTIMATE_MAX_PX

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
PLAIN_UPSCALERS = tuple(name for name in UPSCALERS if name not in LATENT_UPSCALERS)
SEED_ASKED_MAX = min(SEED_MAX, 2**53 - 1)
"""Discord's numbers are a JavaScript client's."""


class UltimateCommand(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._parts = studio.looking

    @app_commands.command(name=keyed("command.ultimate.name"), description=keyed("command.ultimate.description"))
    @localised_options(
        "ultimate", "image", "picture", "factor", "width", "height", "upscaler", "prompt", "negative_prompt", "denoise",
        "tile", "redraw", "seams", "tile_control", "mask_blur", "padding", "steps", "seed", "both",
    )  # fmt: skip
    @app_commands.choices(
        redraw=[app_commands.Choice(name=keyed(f"ultimate.redraw.{redraw}"), value=redraw) for redraw in REDRAWS],
        seams=[
            app_commands.Choice(name=keyed(f"ultimate.seams.{name.replace(' ', '_')}"), value=key)
            for key, name in SEAMS.items()
        ],
    )
    async def ultimate(
        self,
        interaction: Interaction,
        image: discord.Attachment | None = None,
        picture: str | None = None,
        factor: Range[float, 1, FACTOR_MAX] = 2.0,
        width: Range[int, 64, ULTIMATE_MAX_PX] | None = None,
        height: Range[int, 64, ULTIMATE_MAX_PX] | None = None,
        upscaler: str | None = None,
        prompt: Range[str, 0, 6000] = "",
        negative_prompt: Range[str, 0, 6000] | None = None,
        denoise: Range[float, 0, 1] = DENOISE,
        tile: Literal[256, 384, 512, 640, 768, 896, 1024, 1536] | None = None,
        redraw: str = "linear",
        seams: str = "none",
        tile_control: bool = False,
        mask_blur: Range[int, 0, 64] | None = None,
        padding: Range[int, 0, 512] | None = None,
        steps: Range[int, 1, 150] | None = None,
        seed: Range[int, 0, SEED_ASKED_MAX] | None = None,
        both: bool = False,
    ) -> None:
        found = await self._parts.pointed.one(interaction, image, picture)
        wish = UltimateWish(
            factor=factor, width=width, height=height, upscaler=self._studio.model_names.named("upscaler", upscaler),
            prompt=prompt, negative_prompt=negative_prompt, denoise=denoise, tile=tile, redraw=redraw, seams=seams,
            tile_control=tile_control, mask_blur=mask_blur, padding=padding, steps=steps, seed=seed, both=both,
        )  # fmt: skip
        await self._parts.tiling.begin(interaction, found, wish)

    @ultimate.autocomplete("picture")
    async def _pictures(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [
            app_commands.Choice(name=shown[:100], value=value)
            for value, shown in await self._parts.pointed.recent(interaction, current)
        ]

    @ultimate.autocomplete("upscaler")
    async def _upscalers(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "upscaler", current, more=PLAIN_UPSCALERS)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(UltimateCommand(bot.studio))
