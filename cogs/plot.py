"""/plot: a picture with every combination of the values of up to three axes, as a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.parameters import Parameters
from bot.domain.plots.build import AxisWish, PlotWishes
from bot.domain.sizes import ASPECTS
from bot.studio import Studio
from bot.studio.scripts.requesting import Asked
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from gpu_worker.language.names import sampler_choices

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
OPTIONS = (
    "prompt", "x_type", "x_values", "y_type", "y_values", "z_type", "z_values", "negative", "style", "aspect",
    "checkpoint", "lora", "steps", "cfg", "sampler", "seed", "hires", "image", "denoise", "mask", "vary_seeds",
    "random_seeds", "legend", "sub_grids", "margin",
)  # fmt: skip
VARIED = ("x", "y", "z", "xy", "xz", "yz", "xyz")


class PlotCommand(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.plot.name"), description=keyed("command.plot.description"))
    @localised_options("plot", *OPTIONS)
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
        vary_seeds=[app_commands.Choice(name=keyed(f"choice.plot.vary_{axes}"), value=axes) for axes in VARIED],
    )
    async def plot(
        self,
        interaction: Interaction,
        prompt: Range[str, 1, 6000],
        x_type: Range[str, 1, 100] | None = None,
        x_values: Range[str, 1, 6000] | None = None,
        y_type: Range[str, 1, 100] | None = None,
        y_values: Range[str, 1, 6000] | None = None,
        z_type: Range[str, 1, 100] | None = None,
        z_values: Range[str, 1, 6000] | None = None,
        negative: Range[str, 0, 6000] | None = None,
        style: str | None = None,
        aspect: str | None = None,
        checkpoint: str | None = None,
        lora: Range[str, 1, 1000] | None = None,
        steps: Range[int, 1, 150] | None = None,
        cfg: Range[float, 1, 30] | None = None,
        sampler: str | None = None,
        seed: int | None = None,
        hires: Range[float, 1, 4] | None = None,
        image: discord.Attachment | None = None,
        denoise: Range[float, 0, 1] | None = None,
        mask: discord.Attachment | None = None,
        vary_seeds: str = "",
        random_seeds: bool = False,
        legend: bool = True,
        sub_grids: bool = False,
        margin: Range[int, 0, 500] = 0,
    ) -> None:
        named = self._studio.model_names.named
        wishes = Parameters(
            aspect=aspect,
            checkpoint=named("checkpoint", checkpoint),
            steps=steps,
            cfg_scale=cfg,
            sampler=sampler,
            seed=seed,
            hires_scale=hires,
            denoising_strength=denoise,
        )
        typed = ((x_type, x_values), (y_type, y_values), (z_type, z_values))
        x, y, z = (AxisWish(axis, values or "") for axis, values in typed)
        plot = PlotWishes(
            (x, y, z),
            vary=("x" in vary_seeds, "y" in vary_seeds, "z" in vary_seeds),
            random_seeds=random_seeds,
            legend=legend,
            sub_grids=sub_grids,
            margin_px=margin,
        )
        asked = Asked(prompt, negative, style, named("lora", lora), wishes, image, mask)
        await self._studio.plots.desk.ask(interaction, asked, plot)

    @plot.autocomplete("prompt")
    @plot.autocomplete("negative")
    async def _prompts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @plot.autocomplete("x_type")
    @plot.autocomplete("y_type")
    @plot.autocomplete("z_type")
    async def _types(self, _interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return self._studio.plots.desk.axes(current)

    @plot.autocomplete("x_values")
    async def _x(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._values(interaction, "x_type", current)

    @plot.autocomplete("y_values")
    async def _y(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._values(interaction, "y_type", current)

    @plot.autocomplete("z_values")
    async def _z(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._values(interaction, "z_type", current)

    async def _values(self, interaction: Interaction, option: str, current: str) -> list[app_commands.Choice[str]]:
        # What else is typed so far; options that are not are missing.
        axis = str(getattr(interaction.namespace, option, None) or "")
        prompt = str(getattr(interaction.namespace, "prompt", None) or "")
        return await self._studio.plots.desk.values(interaction, axis, current, prompt)

    @plot.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current, none=True)

    @plot.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @plot.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.lora_lines(interaction, current)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(PlotCommand(bot.studio))
