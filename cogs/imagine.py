"""/imagine: a thin adapter from Discord's options to the request."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from bot.domain.ids import UserId
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.job import Action
from bot.domain.sizes import ASPECTS
from bot.i18n import texts_for
from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options
from gpu_worker.language.models import default_checkpoint
from gpu_worker.language.names import SAMPLER_CHOICES, SCHEDULES

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
OPTIONS = (
    "prompt", "negative", "style", "checkpoint", "lora", "aspect", "width", "height", "steps", "cfg", "sampler",
    "schedule", "seed", "count", "clip_skip",
)  # fmt: skip


class Imagine(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._rng = random.SystemRandom()

    @app_commands.command(name=keyed("command.imagine.name"), description=keyed("command.imagine.description"))
    @localised_options("imagine", *OPTIONS)
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in SAMPLER_CHOICES],
        schedule=[app_commands.Choice(name=name, value=name) for name in SCHEDULES],
    )
    async def imagine(
        self,
        interaction: Interaction,
        prompt: Range[str, 1, 6000],
        negative: Range[str, 0, 6000] | None = None,
        style: str | None = None,
        checkpoint: str | None = None,
        lora: str | None = None,
        aspect: str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: Range[int, 1, 150] | None = None,
        cfg: Range[float, 1, 30] | None = None,
        sampler: str | None = None,
        schedule: str | None = None,
        seed: int | None = None,
        count: Range[int, 1, 4] | None = None,
        clip_skip: Range[int, 1, 12] | None = None,
    ) -> None:
        studio = self._studio
        options = ImagineOptions(
            prompt=prompt,
            negative=negative,
            checkpoint=checkpoint,
            lora=lora,
            aspect=aspect,
            width=width,
            height=height,
            steps=steps,
            cfg_scale=cfg,
            sampler=sampler,
            schedule=schedule,
            clip_skip=clip_skip,
            seed=seed,
            count=count,
        )
        chosen = await studio.styles.get(UserId(interaction.user.id), style) if style else None
        built = build_imagine(options, style=chosen, facts=studio.models.facts(), limits=studio.limits, rng=self._rng)
        texts = texts_for(str(interaction.locale))
        notes = [texts(f"note.{note.key}", **note.values) for note in built.notes]
        await studio.intake.begin(interaction, built.spec, Action.IMAGINE, notes=notes)

    @imagine.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, await self._studio.styles.names(UserId(interaction.user.id)))

    @imagine.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        default = default_checkpoint(self._studio.models.facts())
        return choices(current, self._studio.models.names("checkpoint"), marked=[default] if default else [])

    @imagine.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, self._studio.models.names("lora"))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Imagine(bot.studio))
