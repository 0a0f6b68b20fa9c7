"""/random and /repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS
from bot.studio import Studio
from bot.studio.again import Repeat
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import CHOICES_LIMIT, choices, keyed, localised_options
from gpu_worker.language.names import sampler_choices

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range


class AgainCommands(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.random.name"), description=keyed("command.random.description"))
    @localised_options("random", "theme", "count", "style", "aspect", "checkpoint", "lora")
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS]
    )
    async def random(
        self,
        interaction: Interaction,
        theme: Range[str, 1, 100] | None = None,
        count: Range[int, 1, 4] | None = None,
        style: str | None = None,
        aspect: str | None = None,
        checkpoint: str | None = None,
        lora: Range[str, 1, 1000] | None = None,
    ) -> None:
        named = self._studio.model_names.named
        wishes = Parameters(count=count, aspect=aspect, checkpoint=named("checkpoint", checkpoint))
        await self._studio.again.random(interaction, theme, wishes, named("lora", lora), style)

    @app_commands.command(name=keyed("command.repeat.name"), description=keyed("command.repeat.description"))
    @localised_options(
        "repeat", "add", "prompt", "negative", "keep_seed", "count", "aspect", "checkpoint", "seed", "steps", "cfg",
        "sampler", "denoise", "hires", "lora",
    )  # fmt: skip
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
    )
    async def repeat(
        self,
        interaction: Interaction,
        add: Range[str, 1, 2000] | None = None,
        prompt: Range[str, 1, 6000] | None = None,
        negative: Range[str, 0, 6000] | None = None,
        keep_seed: bool = False,
        count: Range[int, 1, 4] | None = None,
        aspect: str | None = None,
        checkpoint: str | None = None,
        seed: int | None = None,
        steps: Range[int, 1, 150] | None = None,
        cfg: Range[float, 1, 30] | None = None,
        sampler: str | None = None,
        denoise: Range[float, 0, 1] | None = None,
        hires: Range[float, 0, 4] | None = None,
        lora: Range[str, 1, 1000] | None = None,
    ) -> None:
        wishes = Parameters(
            count=count,
            aspect=aspect,
            checkpoint=self._studio.model_names.named("checkpoint", checkpoint),
            seed=seed,
            steps=steps,
            cfg_scale=cfg,
            sampler=sampler,
            denoising_strength=denoise,
            hires_scale=hires,
        )
        await self._studio.again.repeat(interaction, Repeat(prompt, add, negative, wishes, keep_seed, lora))

    @random.autocomplete("theme")
    async def _themes(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        rows = await self._studio.again.themes(interaction)
        values = {name: value for value, name in rows}
        found = choices(current, [*values])
        return [app_commands.Choice(name=row.name, value=values[row.name]) for row in found if row.name in values][
            :CHOICES_LIMIT
        ]

    @random.autocomplete("checkpoint")
    @repeat.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @repeat.autocomplete("add")
    @repeat.autocomplete("prompt")
    @repeat.autocomplete("negative")
    async def _prompts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @random.autocomplete("lora")
    @repeat.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.lora_lines(interaction, current)

    @random.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(AgainCommands(bot.studio))
