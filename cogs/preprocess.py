"""/preprocess: the map that a preprocessor makes of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.mapping import MapWish, threshold_hints
from bot.i18n import texts_for
from bot.studio import Studio
from bot.studio.mapping.cards import label_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE, find_preprocessor
from gpu_worker.protocol.specs import SIZE_MAX_PX, SIZE_MIN_PX, ControlResize

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range


class PreprocessCommands(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @app_commands.command(name=keyed("command.preprocess.name"), description=keyed("command.preprocess.description"))
    @localised_options(
        "preprocess", "preprocessor", "image", "picture", "resolution", "threshold_a", "threshold_b", "pixel_perfect",
        "width", "height", "resize_mode", "seed",
    )  # fmt: skip
    async def preprocess(
        self,
        interaction: Interaction,
        preprocessor: Range[str, 1, 60],
        image: discord.Attachment | None = None,
        picture: str | None = None,
        resolution: Range[int, 64, 2048] | None = None,
        threshold_a: float | None = None,
        threshold_b: float | None = None,
        pixel_perfect: bool | None = None,
        width: Range[int, SIZE_MIN_PX, SIZE_MAX_PX] | None = None,
        height: Range[int, SIZE_MIN_PX, SIZE_MAX_PX] | None = None,
        resize_mode: ControlResize = "Crop and Resize",
        seed: Range[int, 0, 2**32 - 1] | None = None,
    ) -> None:
        found = await self._studio.looking.pointed.one(interaction, image, picture)
        wish = MapWish(
            preprocessor=preprocessor,
            resolution=resolution,
            a=threshold_a,
            b=threshold_b,
            pixel_perfect=pixel_perfect,
            width=width,
            height=height,
            resize_mode=resize_mode,
            seed=seed,
        )
        await self._studio.mapping.mapping.begin(interaction, found, wish)

    @preprocess.autocomplete("picture")
    async def _pictures(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [
            app_commands.Choice(name=shown[:100], value=value)
            for value, shown in await self._studio.looking.pointed.recent(interaction, current)
        ]

    @preprocess.autocomplete("preprocessor")
    async def _preprocessors(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        """Old names find the new ones; what each shows, and whether its file is there, stands behind it."""
        texts, facts = texts_for(str(interaction.locale)), self._studio.mapping.mapping.facts(interaction)
        names = {
            f"{label_of(entry, facts, texts)} {' '.join(entry.aliases)}": entry
            for entry in PREPROCESSOR_TABLE
            if entry.name != "none"
        }
        found = [names[choice.value] for choice in choices(current, list(names)) if choice.value in names]
        return [app_commands.Choice(name=label_of(entry, facts, texts)[:100], value=entry.name) for entry in found]

    @preprocess.autocomplete("threshold_a")
    async def _first(self, interaction: Interaction, current: str) -> list[app_commands.Choice[float]]:
        return self._hints(interaction, current, first=True)

    @preprocess.autocomplete("threshold_b")
    async def _second(self, interaction: Interaction, current: str) -> list[app_commands.Choice[float]]:
        return self._hints(interaction, current, first=False)

    def _hints(self, interaction: Interaction, current: str, *, first: bool) -> list[app_commands.Choice[float]]:
        """What the number is called there, and from where to where it goes."""
        entry = find_preprocessor(str(getattr(interaction.namespace, "preprocessor", "") or ""))
        slider = None if entry is None else entry.a if first else entry.b
        if slider is None:
            return []
        texts = texts_for(str(interaction.locale))
        values = [*_typed(current), *threshold_hints(slider)]
        return [
            app_commands.Choice(
                name=texts(
                    "map.slider",
                    name=slider.label,
                    value=f"{value:g}",
                    least=f"{slider.low:g}",
                    most=f"{slider.high:g}",
                )[:100],
                value=value,
            )
            for value in dict.fromkeys(values)
            if slider.low <= value <= slider.high
        ]


def _typed(current: str) -> list[float]:
    """Discord sends what is typed as it stands, even where a number is asked for; a number arrives as one."""
    try:
        return [float(str(current))]
    except ValueError:
        return []


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(PreprocessCommands(bot.studio))
