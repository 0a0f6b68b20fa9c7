"""/matrix: every combination of the parts of a prompt, as a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.job import Action
from bot.domain.parameters import Parameters
from bot.domain.scripts import Matrix
from bot.domain.sizes import ASPECTS
from bot.errors import UserFacingError
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
    "prompt", "negative", "vary", "at_start", "delimiter", "different_seeds", "margin", "style", "aspect", "seed",
    "checkpoint", "lora", "steps", "cfg", "sampler", "hires", "image", "denoise", "mask", "width", "height",
)  # fmt: skip


class MatrixCommand(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.matrix.name"), description=keyed("command.matrix.description"))
    @localised_options("matrix", *OPTIONS)
    @app_commands.choices(
        vary=[
            app_commands.Choice(name=keyed(f"choice.matrix.{side}"), value=side) for side in ("positive", "negative")
        ],
        delimiter=[app_commands.Choice(name=keyed(f"choice.matrix.{sign}"), value=sign) for sign in ("comma", "space")],
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
    )
    async def matrix(
        self,
        interaction: Interaction,
        prompt: Range[str, 1, 6000],
        negative: Range[str, 0, 6000] | None = None,
        vary: str = "positive",
        at_start: bool = False,
        delimiter: str = "comma",
        different_seeds: bool = False,
        margin: Range[int, 0, 500] = 0,
        style: str | None = None,
        aspect: str | None = None,
        seed: int | None = None,
        checkpoint: str | None = None,
        lora: Range[str, 1, 1000] | None = None,
        steps: Range[int, 1, 150] | None = None,
        cfg: Range[float, 1, 30] | None = None,
        sampler: str | None = None,
        hires: Range[float, 1, 4] | None = None,
        image: discord.Attachment | None = None,
        denoise: Range[float, 0, 1] | None = None,
        mask: discord.Attachment | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        named = self._studio.model_names.named
        wishes = Parameters(
            aspect=aspect,
            seed=seed,
            checkpoint=named("checkpoint", checkpoint),
            steps=steps,
            cfg_scale=cfg,
            sampler=sampler,
            hires_scale=hires,
            denoising_strength=denoise,
            width=width,
            height=height,
        )
        asked = Asked(prompt, negative, style, named("lora", lora), wishes, image, mask)
        scripts = self._studio.scripts
        async with scripts.bases.begun(interaction, asked) as base:
            script = Matrix.model_validate(
                {
                    "base": base.spec,
                    "prompt_type": vary,
                    "varied_text": base.typed if vary == "positive" else base.typed_negative,
                    "at_start": at_start,
                    "delimiter": delimiter,
                    "different_seeds": different_seeds,
                    "margin_px": margin,
                }
            )
            if script.size < 2:
                raise UserFacingError("matrix_no_parts" if vary == "positive" else "matrix_no_negative_parts")
            await scripts.scripting.offer(interaction, script, Action.MATRIX, notes=base.notes, private=base.private)

    @matrix.autocomplete("prompt")
    @matrix.autocomplete("negative")
    async def _prompts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @matrix.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current, none=True)

    @matrix.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @matrix.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.lora_lines(interaction, current)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(MatrixCommand(bot.studio))
