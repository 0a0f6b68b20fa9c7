"""/describe, /upscale and /png-info, and the menus of any message with a picture in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.enlarging import FACTOR_MAX, Enlargement
from bot.domain.models import FACE_MODELS, LATENT_UPSCALERS, NONE, UPSCALERS
from bot.errors import UserFacingError
from bot.studio import Studio
from bot.studio.looking.describing import CHARACTER, GENERAL
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.commands import keyed, localised_options

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
PLAIN_UPSCALERS = tuple(name for name in UPSCALERS if name not in LATENT_UPSCALERS and name != NONE)


class LookingCommands(commands.Cog):
    def __init__(self, studio: Studio, tree: app_commands.CommandTree[PincelBot]) -> None:
        self._studio = studio
        self._tree = tree
        self._parts = studio.looking
        self._menus = [
            app_commands.ContextMenu(name=keyed("menu.picture_info"), callback=self._info_of),
            app_commands.ContextMenu(name=keyed("menu.upscale"), callback=self._upscale_of),
            app_commands.ContextMenu(name=keyed("menu.describe"), callback=self._describe_of),
            app_commands.ContextMenu(name=keyed("menu.image_prompt"), callback=self._prompt_of),
            app_commands.ContextMenu(name=keyed("menu.style"), callback=self._style_of),
        ]

    async def cog_load(self) -> None:
        for menu in self._menus:
            self._tree.add_command(menu)

    async def cog_unload(self) -> None:
        for menu in self._menus:
            self._tree.remove_command(menu.name, type=menu.type)

    @app_commands.command(name=keyed("command.png_info.name"), description=keyed("command.png_info.description"))
    @localised_options("png_info", "image", "picture")
    async def png_info(
        self, interaction: Interaction, image: discord.Attachment | None = None, picture: str | None = None
    ) -> None:
        found = await self._parts.pointed.one(interaction, image, picture)
        await self._parts.desk.info(interaction, [found])

    @app_commands.command(name=keyed("command.describe.name"), description=keyed("command.describe.description"))
    @localised_options("describe", "image", "picture", "tagger", "general", "character")
    async def describe(
        self,
        interaction: Interaction,
        image: discord.Attachment | None = None,
        picture: str | None = None,
        tagger: str | None = None,
        general: Range[float, 0, 1] = GENERAL,
        character: Range[float, 0, 1] = CHARACTER,
    ) -> None:
        found = await self._parts.pointed.one(interaction, image, picture)
        name = self._studio.model_names.named("tagger", tagger)
        await self._parts.desk.describe(interaction, [found], tagger=name, general=general, character=character)

    @app_commands.command(name=keyed("command.upscale.name"), description=keyed("command.upscale.description"))
    @localised_options(
        "upscale", "image", "picture", "factor", "upscaler", "denoise", "prompt", "faces", "face_visibility",
        "face_weight", "upscaler_2", "blend",
    )  # fmt: skip
    @app_commands.choices(faces=[app_commands.Choice(name=name, value=name) for name in FACE_MODELS])
    async def upscale(
        self,
        interaction: Interaction,
        image: discord.Attachment | None = None,
        picture: str | None = None,
        factor: Range[float, 1, FACTOR_MAX] = 2.0,
        upscaler: str | None = None,
        denoise: Range[float, 0, 1] | None = None,
        prompt: Range[str, 0, 6000] = "",
        faces: str | None = None,
        face_visibility: Range[float, 0, 1] = 1.0,
        face_weight: Range[float, 0, 1] = 0.5,
        upscaler_2: str | None = None,
        blend: Range[float, 0, 1] = 0.5,
    ) -> None:
        found = await self._parts.pointed.one(interaction, image, picture)
        if prompt and not denoise:
            raise UserFacingError("enlarge_prompt_alone")
        if denoise and (faces or upscaler_2):
            raise UserFacingError("enlarge_not_both")
        named = self._studio.model_names.named
        wish = Enlargement(
            upscaler=named("upscaler", upscaler),
            factor=factor,
            faces=faces,
            denoise=denoise,
            prompt=prompt,
            upscaler_2=named("upscaler", upscaler_2),
            blend=blend,
            face_visibility=face_visibility,
            face_weight=face_weight,
        )
        await self._parts.desk.enlarge(interaction, found, wish)

    @png_info.autocomplete("picture")
    @describe.autocomplete("picture")
    @upscale.autocomplete("picture")
    async def _pictures(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [
            app_commands.Choice(name=shown[:100], value=value)
            for value, shown in await self._parts.pointed.recent(interaction, current)
        ]

    @describe.autocomplete("tagger")
    async def _taggers(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "tagger", current)

    @upscale.autocomplete("upscaler")
    @upscale.autocomplete("upscaler_2")
    async def _upscalers(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "upscaler", current, more=PLAIN_UPSCALERS)

    # --- menus --------------------------------------------------------------------------------------------------------

    async def _info_of(self, interaction: Interaction, message: discord.Message) -> None:
        await self._parts.desk.info(interaction, await self._parts.pointed.in_message(message))

    async def _upscale_of(self, interaction: Interaction, message: discord.Message) -> None:
        await self._parts.desk.enlarge_form(interaction, await self._parts.pointed.in_message(message))

    async def _describe_of(self, interaction: Interaction, message: discord.Message) -> None:
        await self._parts.desk.describe(interaction, await self._parts.pointed.in_message(message))

    async def _prompt_of(self, interaction: Interaction, message: discord.Message) -> None:
        await self._parts.desk.prompt_form(interaction, await self._parts.pointed.in_message(message))

    async def _style_of(self, interaction: Interaction, message: discord.Message) -> None:
        """The form for a card of ours; of others' pictures their card, which has a button for it: they have to be
        fetched and read first, and a form must be the very first answer."""
        job = await self._studio.jobs.by_message(message.id)
        if job is not None and job.draws:
            await self._studio.router.pressed(interaction, Address(Verb.STYLE, job.id))
        else:
            await self._info_of(interaction, message)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(LookingCommands(bot.studio, bot.tree))
