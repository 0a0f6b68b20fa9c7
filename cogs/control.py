"""/control: a picture that a drawing follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.control.kinds import KINDS, kind_named, kind_of_preprocessor, preprocessors_of
from bot.domain.control.models import control_models, fits_kind
from bot.domain.control.units import MODES, UnitWish
from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS
from bot.studio import Studio
from bot.studio.control.opening import ControlWish
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options
from gpu_worker.language.names import sampler_choices
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
OPTIONS = (
    "image", "prompt", "type", "preprocessor", "model", "weight", "start", "end", "mode", "negative", "style",
    "aspect", "count", "seed", "checkpoint", "lora", "steps", "cfg", "sampler", "source", "denoise", "mask", "hires",
    "pixel_perfect", "advanced",
)  # fmt: skip
"""All that Discord takes."""


class Control(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.control.name"), description=keyed("command.control.description"))
    @localised_options("control", *OPTIONS)
    @app_commands.choices(
        type=[app_commands.Choice(name=kind.name, value=kind.name) for kind in KINDS],
        mode=[app_commands.Choice(name=mode, value=mode) for mode in MODES],
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
    )
    async def control(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        prompt: Range[str, 1, 6000],
        type: str | None = None,  # noqa: A002
        preprocessor: str | None = None,
        model: str | None = None,
        weight: Range[float, 0.0, 2.0] | None = None,
        start: Range[float, 0.0, 1.0] | None = None,
        end: Range[float, 0.0, 1.0] | None = None,
        mode: str | None = None,
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
        source: discord.Attachment | None = None,
        denoise: Range[float, 0, 1] | None = None,
        mask: discord.Attachment | None = None,
        hires: Range[float, 1, 4] | None = None,
        pixel_perfect: bool | None = None,
        advanced: bool = False,
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
            denoising_strength=denoise,
            hires_scale=hires,
        )
        unit = UnitWish(type, preprocessor, named("controlnet", model), weight, start, end, mode, pixel_perfect)
        wish = ControlWish(prompt, unit, negative, style, named("lora", lora), wishes, advanced)
        await self._studio.control.opening.begin(interaction, image, wish, source, mask)

    @control.autocomplete("preprocessor")
    async def _preprocessors(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        """Those of the chosen type first, or nothing but them while nothing is typed."""
        kind = kind_named(getattr(interaction.namespace, "type", None) or "")
        first = [entry.name for entry in preprocessors_of(kind)] if kind is not None else []
        return choices(current, [entry.name for entry in PREPROCESSOR_TABLE], marked=first)

    @control.autocomplete("model")
    async def _models(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        """Those that fit the checkpoint, of the chosen type first."""
        given = interaction.namespace
        facts = self._studio.models.facts(where_of(interaction))
        kind = kind_named(getattr(given, "type", None) or "")
        kind = kind or kind_of_preprocessor(getattr(given, "preprocessor", None) or "")
        usable = {fact.name: fact for fact in control_models(None, facts)}
        rows = await self._studio.model_names.choices(interaction, "controlnet", current, only=usable.keys())
        if kind is None:
            return rows
        of_kind = {
            self._studio.model_names.value("controlnet", n) for n, fact in usable.items() if fits_kind(fact, kind)
        }
        return sorted(rows, key=lambda row: row.value not in of_kind)

    @control.autocomplete("prompt")
    @control.autocomplete("negative")
    async def _prompts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @control.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current, none=True)

    @control.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @control.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.lora_lines(interaction, current)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Control(bot.studio))
