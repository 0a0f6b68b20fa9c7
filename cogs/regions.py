"""/regions: different words for different parts of one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from bot.domain.layouts.rectangles import ARRANGEMENTS
from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS
from bot.i18n import texts_for
from bot.studio import Studio
from bot.studio.layouts.opening import LayoutWish
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from gpu_worker.language.names import sampler_choices

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
OPTIONS = (
    "prompt", "layout", "region1", "region2", "region3", "region4", "region5", "region6", "more", "weights", "end_step",
    "lora_per_region", "latent_couple", "negative", "style", "aspect", "count", "seed", "checkpoint", "lora", "steps",
    "cfg", "sampler", "hires", "draw",
)  # fmt: skip


class RegionLayouts(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.regions.name"), description=keyed("command.regions.description"))
    @localised_options("regions", *OPTIONS)
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
    )
    async def regions(
        self,
        interaction: Interaction,
        prompt: Range[str, 1, 6000],
        layout: Range[str, 1, 300] | None = None,
        region1: Range[str, 1, 1000] | None = None,
        region2: Range[str, 1, 1000] | None = None,
        region3: Range[str, 1, 1000] | None = None,
        region4: Range[str, 1, 1000] | None = None,
        region5: Range[str, 1, 1000] | None = None,
        region6: Range[str, 1, 1000] | None = None,
        more: Range[str, 1, 4000] | None = None,
        weights: Range[str, 1, 200] | None = None,
        end_step: Range[int, 0, 150] | None = None,
        lora_per_region: bool = False,
        latent_couple: Range[str, 1, 2000] | None = None,
        negative: Range[str, 0, 6000] | None = None,
        style: str | None = None,
        aspect: str | None = None,
        count: Range[int, 1, 4] | None = None,
        seed: int | None = None,
        checkpoint: str | None = None,
        lora: Range[str, 1, 1000] | None = None,
        steps: Range[int, 1, 150] | None = None,
        cfg: Range[float, 1, 30] | None = None,
        sampler: str | None = None,
        hires: Range[float, 1, 4] | None = None,
        draw: bool = False,
    ) -> None:
        named = self._studio.model_names.named
        wishes = Parameters(
            aspect=aspect,
            count=count,
            seed=seed,
            checkpoint=named("checkpoint", checkpoint),
            steps=steps,
            cfg_scale=cfg,
            sampler=sampler,
            hires_scale=hires,
        )
        wish = LayoutWish(
            prompt,
            tuple(filter(None, (region1, region2, region3, region4, region5, region6))),
            more or "",
            layout,
            weights,
            end_step,
            lora_per_region,
            latent_couple,
            negative,
            style,
            named("lora", lora),
            wishes,
            draw,
        )
        await self._studio.layouts.opening.begin(interaction, wish)

    @regions.autocomplete("layout")
    async def _layouts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        """What is typed stands for itself: maps and percents are in no list."""
        texts, typed = texts_for(str(interaction.locale)), current.casefold().strip()
        rows = [(texts(f"regions.layout.{at}"), value) for at, value in enumerate(ARRANGEMENTS)]
        found = [row for row in rows if typed in row[0].casefold() or typed in row[1]]
        return [app_commands.Choice(name=name[:100], value=value) for name, value in found[:25]]

    @regions.autocomplete("prompt")
    @regions.autocomplete("negative")
    @regions.autocomplete("region1")
    @regions.autocomplete("region2")
    @regions.autocomplete("region3")
    @regions.autocomplete("region4")
    @regions.autocomplete("region5")
    @regions.autocomplete("region6")
    async def _prompts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @regions.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current, none=True)

    @regions.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @regions.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.lora_lines(interaction, current)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(RegionLayouts(bot.studio))
