"""/style: one's own styles, the server's, and those that Pincel brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS
from bot.domain.style_names import StyleLevel
from bot.domain.styles import MAX_NAME_CHARS
from bot.studio import Studio
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from gpu_worker.language.names import SCHEDULES, sampler_choices

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
SAVE_OPTIONS = (
    "name", "prompt", "negative", "checkpoint", "aspect", "width", "height", "steps", "cfg", "sampler", "schedule",
    "seed", "count", "clip_skip", "replace", "for_server",
)  # fmt: skip
FORMATS = ("csv", "json")


class Styles(
    commands.GroupCog, group_name=keyed("command.style.name"), group_description=keyed("command.style.description")
):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._desk = studio.style_desk
        self._trade = studio.style_trade

    @app_commands.command(name=keyed("command.style.save.name"), description=keyed("command.style.save.description"))
    @localised_options("style.save", *SAVE_OPTIONS)
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in sampler_choices()],
        schedule=[app_commands.Choice(name=name, value=name) for name in SCHEDULES],
    )
    async def save(
        self,
        interaction: Interaction,
        name: Range[str, 1, MAX_NAME_CHARS],
        prompt: Range[str, 0, 6000] = "",
        negative: Range[str, 0, 6000] = "",
        checkpoint: str | None = None,
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
        replace: bool = False,
        for_server: bool = False,
    ) -> None:
        wishes = Parameters(
            checkpoint=self._studio.model_names.named("checkpoint", checkpoint),
            aspect=aspect,
            width=width,
            height=height,
            steps=steps,
            cfg_scale=cfg,
            sampler=sampler,
            schedule=schedule,
            seed=seed,
            count=count,
            clip_skip=clip_skip,
        )
        await self._desk.save(interaction, name, prompt, negative, wishes, replace=replace, for_server=for_server)

    @app_commands.command(name=keyed("command.style.list.name"), description=keyed("command.style.list.description"))
    async def list(self, interaction: Interaction) -> None:
        await self._desk.list(interaction)

    @app_commands.command(name=keyed("command.style.show.name"), description=keyed("command.style.show.description"))
    @localised_options("style.show", "name")
    async def show(self, interaction: Interaction, name: str) -> None:
        await self._desk.show(interaction, name)

    @app_commands.command(
        name=keyed("command.style.rename.name"), description=keyed("command.style.rename.description")
    )
    @localised_options("style.rename", "name", "new_name")
    async def rename(self, interaction: Interaction, name: str, new_name: Range[str, 1, MAX_NAME_CHARS]) -> None:
        await self._desk.rename(interaction, name, new_name)

    @app_commands.command(
        name=keyed("command.style.delete.name"), description=keyed("command.style.delete.description")
    )
    @localised_options("style.delete", "name")
    async def delete(self, interaction: Interaction, name: str) -> None:
        await self._desk.delete(interaction, name)

    @app_commands.command(
        name=keyed("command.style.versions.name"), description=keyed("command.style.versions.description")
    )
    @localised_options("style.versions", "name")
    async def versions(self, interaction: Interaction, name: str) -> None:
        await self._desk.versions(interaction, name)

    @app_commands.command(name=keyed("command.style.share.name"), description=keyed("command.style.share.description"))
    @localised_options("style.share", "names")
    async def share(self, interaction: Interaction, names: str) -> None:
        await self._desk.share(interaction, names)

    @app_commands.command(
        name=keyed("command.style.import.name"), description=keyed("command.style.import.description")
    )
    @localised_options("style.import", "file", "code", "for_server")
    async def import_(
        self,
        interaction: Interaction,
        file: discord.Attachment | None = None,
        code: str | None = None,
        for_server: bool = False,
    ) -> None:
        await self._trade.bring(interaction, file, code, for_server=for_server)

    @app_commands.command(
        name=keyed("command.style.export.name"), description=keyed("command.style.export.description")
    )
    @localised_options("style.export", "file_format", "whose")
    @app_commands.choices(
        file_format=[app_commands.Choice(name=keyed(f"choice.style_format.{name}"), value=name) for name in FORMATS],
        whose=[app_commands.Choice(name=keyed(f"choice.style_level.{level}"), value=level) for level in StyleLevel],
    )
    async def export(self, interaction: Interaction, file_format: str = "csv", whose: str | None = None) -> None:
        wanted = cast("Literal['csv', 'json']", file_format)
        await self._trade.send_out(interaction, wanted, StyleLevel(whose) if whose else None)

    @app_commands.command(
        name=keyed("command.style.propose.name"), description=keyed("command.style.propose.description")
    )
    @localised_options("style.propose", "name")
    async def propose(self, interaction: Interaction, name: str) -> None:
        await self._desk.propose(interaction, name)

    @app_commands.command(
        name=keyed("command.style.review.name"), description=keyed("command.style.review.description")
    )
    async def review(self, interaction: Interaction) -> None:
        await self._trade.review(interaction)

    @show.autocomplete("name")
    @rename.autocomplete("name")
    @delete.autocomplete("name")
    @versions.autocomplete("name")
    @propose.autocomplete("name")
    async def _names(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current, several=False)

    @share.autocomplete("names")
    async def _several(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.wardrobe.completions(where_of(interaction), current)

    @save.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Styles(bot.studio))
