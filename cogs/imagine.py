"""/imagine: a thin adapter from Discord's options to the request."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.audience import read_audience
from bot.domain.ids import UserId
from bot.domain.image_prompts import choose_adapter, read_strength
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.job import Action
from bot.domain.models import AUTOMATIC_VAE, NONE, UPSCALERS, find_checkpoint
from bot.domain.next_request import with_next_picture
from bot.domain.parameters import Parameters
from bot.domain.pasted import is_infotext
from bot.domain.sizes import ASPECTS
from bot.domain.tag_texts import listed
from bot.i18n import texts_for
from bot.studio import Studio
from bot.studio.looking.pointed import found_attachment
from bot.studio.notes import told
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from gpu_worker.language.names import SCHEDULES, sampler_choices

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
OPTIONS = (
    "prompt", "tags", "negative", "style", "aspect", "count", "seed", "checkpoint", "lora", "steps", "cfg", "sampler",
    "hires", "image", "denoise", "mask", "width", "height", "schedule", "vae", "clip_skip", "image_prompt", "upscaler",
    "restore_faces", "advanced",
)  # fmt: skip
"""All that Discord takes; the first are those that a phone shows without scrolling."""


class Imagine(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._rng = random.SystemRandom()

    @app_commands.command(name=keyed("command.imagine.name"), description=keyed("command.imagine.description"))
    @localised_options("imagine", *OPTIONS)
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
        schedule=[app_commands.Choice(name=name, value=name) for name in SCHEDULES],
    )
    async def imagine(
        self,
        interaction: Interaction,
        prompt: Range[str, 1, 6000],
        tags: Range[str, 1, 2000] | None = None,
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
        image: discord.Attachment | None = None,
        denoise: Range[float, 0, 1] | None = None,
        mask: discord.Attachment | None = None,
        width: int | None = None,
        height: int | None = None,
        schedule: str | None = None,
        vae: str | None = None,
        clip_skip: Range[int, 1, 12] | None = None,
        image_prompt: discord.Attachment | None = None,
        upscaler: str | None = None,
        restore_faces: bool | None = None,
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
            hires_scale=hires,
            denoising_strength=denoise,
            width=width,
            height=height,
            schedule=schedule,
            vae=named("vae", vae),
            clip_skip=clip_skip,
            hires_upscaler=named("upscaler", upscaler),
            face_restore=None if restore_faces is None else "on" if restore_faces else "off",
        )
        studio = self._studio
        if image is not None or image_prompt is not None:
            # Before it is fetched and kept for nothing.
            await studio.intake.require_room(UserId(interaction.user.id))
        where = where_of(interaction)
        facts = studio.models.facts(where)
        usual = studio.usuals.at(where, facts)
        chosen = await studio.wardrobe.chosen(where, style, None if is_infotext(prompt) else usual.style)
        build = partial(
            build_imagine,
            styles=chosen.styles,
            facts=facts,
            limits=studio.limits,
            server_defaults=usual.server,
            user_defaults=usual.user,
            rng=self._rng,
        )
        wish = await studio.next_pictures.get(where.user_id)
        prompt, private = read_audience(prompt)
        prompt, image_strength = read_strength(prompt)
        if private is None:
            private = await studio.intake.is_private(interaction)
        hidden = advanced or private
        shown = [found_attachment(image_prompt)] if image_prompt is not None else []
        if shown:
            choose_adapter(None, find_checkpoint(wishes.checkpoint, facts).name, facts)
        async with (
            studio.attachments.given(interaction, image, mask, hidden=hidden) as picture,
            studio.looking.prompting.kept(interaction, shown, hidden=hidden) as read,
        ):
            options = ImagineOptions(
                prompt,
                negative,
                named("lora", lora),
                wishes,
                picture,
                words=listed(tags),
                usual_negative=usual.negative,
            )
            built, left = with_next_picture(wish, options, build, facts)
            built = await studio.control.opening.restored(interaction, built, panel=advanced)
            spec = studio.looking.prompting.joined(interaction, built.spec, read, image_strength)
            notes = told((*chosen.notes, *built.notes), texts_for(str(interaction.locale)))
            if advanced:
                await studio.panels.open(interaction, spec, Action.IMAGINE, notes=notes, private=private)
            else:
                await studio.intake.begin(interaction, spec, Action.IMAGINE, notes=notes, private=private)
        if not wish.empty:
            await studio.next_pictures.use_up(where.user_id, wish, left)

    @imagine.autocomplete("prompt")
    async def _prompts(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @imagine.autocomplete("tags")
    @imagine.autocomplete("negative")
    async def _tags(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.completion.choices(interaction, current)

    @imagine.autocomplete("style")
    async def _styles(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current, none=True)

    @imagine.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @imagine.autocomplete("lora")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.lora_lines(interaction, current)

    @imagine.autocomplete("vae")
    async def _vaes(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "vae", current, more=(AUTOMATIC_VAE, NONE))

    @imagine.autocomplete("upscaler")
    async def _upscalers(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "upscaler", current, more=UPSCALERS)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Imagine(bot.studio))
