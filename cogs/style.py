"""/style save|list|show|rename|delete: each user's own styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.ids import UserId
from bot.domain.mentions import neutral
from bot.domain.parameters import Parameters
from bot.domain.sizes import ASPECTS
from bot.domain.styles import MAX_NAME_CHARS, Style, check_style_name, make_style
from bot.i18n import Texts, texts_for
from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options
from bot.ui.door import say
from gpu_worker.language.names import SAMPLER_CHOICES, SCHEDULES

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
SAVE_OPTIONS = (
    "name", "prompt", "negative", "checkpoint", "aspect", "width", "height", "steps", "cfg", "sampler", "schedule",
    "seed", "count", "clip_skip", "replace",
)  # fmt: skip
SHOWN_CHARS = 1200
LINE_CHARS = 60
LISTED_CHARS = 3700
"""Of the 4000 that all texts of a message may have, with room for the last line."""


class Styles(
    commands.GroupCog, group_name=keyed("command.style.name"), group_description=keyed("command.style.description")
):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.style.save.name"), description=keyed("command.style.save.description"))
    @localised_options("style.save", *SAVE_OPTIONS)
    @app_commands.choices(
        aspect=[app_commands.Choice(name=keyed(f"choice.aspect.{aspect}"), value=aspect) for aspect in ASPECTS],
        sampler=[app_commands.Choice(name=name, value=name) for name in SAMPLER_CHOICES],
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
        style = make_style(name, prompt, negative, wishes)
        await self._studio.styles.save(UserId(interaction.user.id), style, replace=replace)
        await say(interaction, texts_for(str(interaction.locale))("reply.style_saved", name=neutral(style.name)))

    @app_commands.command(name=keyed("command.style.list.name"), description=keyed("command.style.list.description"))
    async def list(self, interaction: Interaction) -> None:
        texts = texts_for(str(interaction.locale))
        styles = await self._studio.styles.list(UserId(interaction.user.id))
        if not styles:
            await say(interaction, texts("style.none"))
            return
        await self._show(interaction, listed(styles, texts))

    @app_commands.command(name=keyed("command.style.show.name"), description=keyed("command.style.show.description"))
    @localised_options("style.show", "name")
    async def show(self, interaction: Interaction, name: str) -> None:
        style = await self._studio.styles.get(UserId(interaction.user.id), name)
        await self._show(interaction, described(style, texts_for(str(interaction.locale))))

    @app_commands.command(
        name=keyed("command.style.rename.name"), description=keyed("command.style.rename.description")
    )
    @localised_options("style.rename", "name", "new_name")
    async def rename(self, interaction: Interaction, name: str, new_name: Range[str, 1, MAX_NAME_CHARS]) -> None:
        shown = check_style_name(new_name)
        await self._studio.styles.rename(UserId(interaction.user.id), name, shown)
        texts = texts_for(str(interaction.locale))
        await say(interaction, texts("style.renamed", name=neutral(name), new_name=neutral(shown)))

    @app_commands.command(
        name=keyed("command.style.delete.name"), description=keyed("command.style.delete.description")
    )
    @localised_options("style.delete", "name")
    async def delete(self, interaction: Interaction, name: str) -> None:
        await self._studio.styles.delete(UserId(interaction.user.id), name)
        await say(interaction, texts_for(str(interaction.locale))("style.deleted", name=neutral(name)))

    @show.autocomplete("name")
    @rename.autocomplete("name")
    @delete.autocomplete("name")
    async def _names(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, await self._studio.styles.names(UserId(interaction.user.id)))

    @save.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    async def _show(self, interaction: Interaction, text: str) -> None:
        view = discord.ui.LayoutView(timeout=None)
        box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
        box.add_item(discord.ui.TextDisplay(text))
        view.add_item(box)
        await interaction.response.send_message(view=view, ephemeral=True)


def listed(styles: Sequence[Style], texts: Texts) -> str:
    """As many as fit a message, and how many more there are."""
    text = texts("style.title", n=len(styles))
    for number, style in enumerate(styles):
        line = f"\n**{neutral(style.name)}** · {neutral(style.prompt or style.negative_prompt, LINE_CHARS)}"
        if len(text) + len(line) > LISTED_CHARS:
            return text + "\n" + texts("style.more", n=len(styles) - number)
        text += line
    return text


def described(style: Style, texts: Texts) -> str:
    lines = [f"### {neutral(style.name)}"]
    if style.prompt:
        lines.append(f"**{texts('form.style.prompt')}**\n{neutral(style.prompt, SHOWN_CHARS)}")
    if style.negative_prompt:
        lines.append(f"**{texts('form.style.negative')}**\n{neutral(style.negative_prompt, SHOWN_CHARS)}")
    given = style.parameters.model_dump(exclude_none=True)
    if given:
        lines.append("-# " + " · ".join(f"{key.replace('_', ' ')} {_shown(value)}" for key, value in given.items()))
    return "\n".join(lines)


def _shown(value: str | float) -> str:
    if isinstance(value, str):
        return neutral(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Styles(bot.studio))
