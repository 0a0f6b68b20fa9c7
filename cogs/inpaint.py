"""/inpaint: a picture, a mask, and what belongs there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.ids import UserId
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action
from bot.domain.parameters import Parameters
from bot.domain.wishes import MASK_CONTENTS
from bot.i18n import texts_for
from bot.studio import Studio
from bot.studio.looking.enlarging import acknowledged
from bot.studio.notes import told
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from gpu_worker.language.names import sampler_choices

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
OPTIONS = (
    "prompt", "mask", "image", "picture", "denoise", "fill", "only_masked", "padding", "mask_blur", "invert",
    "negative", "count", "style", "checkpoint", "lora", "seed", "steps", "cfg", "sampler", "width", "height",
)  # fmt: skip


class Inpaint(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.inpaint.name"), description=keyed("command.inpaint.description"))
    @localised_options("inpaint", *OPTIONS)
    @app_commands.choices(
        fill=[
            app_commands.Choice(name=keyed(f"choice.fill.{value.replace(' ', '_')}"), value=value)
            for value in MASK_CONTENTS
        ],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
    )
    async def inpaint(
        self,
        interaction: Interaction,
        prompt: Range[str, 1, 6000],
        mask: discord.Attachment,
        image: discord.Attachment | None = None,
        picture: str | None = None,
        denoise: Range[float, 0, 1] | None = None,
        fill: str | None = None,
        only_masked: bool | None = None,
        padding: Range[int, 0, 256] | None = None,
        mask_blur: Range[int, 0, 64] | None = None,
        invert: bool | None = None,
        negative: Range[str, 0, 6000] | None = None,
        count: Range[int, 1, 4] | None = None,
        style: str | None = None,
        checkpoint: str | None = None,
        lora: Range[str, 1, 1000] | None = None,
        seed: int | None = None,
        steps: Range[int, 1, 150] | None = None,
        cfg: Range[float, 1, 30] | None = None,
        sampler: str | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        studio = self._studio
        named = studio.model_names.named
        wishes = Parameters(
            denoising_strength=denoise,
            mask_content=fill,
            only_masked=only_masked,
            padding_px=padding,
            mask_blur=mask_blur,
            mask_invert=invert,
            count=count,
            checkpoint=named("checkpoint", checkpoint),
            seed=seed,
            steps=steps,
            cfg_scale=cfg,
            sampler=sampler,
            width=width,
            height=height,
        )
        parts = studio.looking
        found = await parts.pointed.one(interaction, image, picture)
        for one in (image, mask):
            if one is not None:
                studio.attachments.check(one)
        # Before it is fetched and kept for nothing.
        await studio.intake.require_room(UserId(interaction.user.id))
        styles, notes = await parts.requests.styles(interaction, style)
        hidden = await studio.intake.is_private(interaction, None, found.image_id)
        async with acknowledged(interaction, hidden=hidden), parts.pointed.taken(found, mask) as given:
            options = ImagineOptions(prompt, negative, named("lora", lora), wishes, given)
            built = parts.requests.build(interaction, options, styles=styles)
            said = told((*notes, *built.notes), texts_for(str(interaction.locale)))
            await studio.intake.begin(
                interaction, built.spec, Action.IMAGINE, source_image_id=found.image_id, notes=said
            )

    @inpaint.autocomplete("picture")
    async def _pictures(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        rows = await self._studio.looking.pointed.recent(interaction, current)
        return [app_commands.Choice(name=shown[:100], value=value) for value, shown in rows]

    @inpaint.autocomplete("prompt")
    @inpaint.autocomplete("negative")
    async def _prompts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @inpaint.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current)

    @inpaint.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @inpaint.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.lora_lines(interaction, current)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Inpaint(bot.studio))
