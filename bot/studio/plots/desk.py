"""A plot is asked for by /plot, or in a form that begins with a finished picture."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from discord import app_commands

from bot.domain import actions
from bot.domain.flags import read_flags
from bot.domain.ids import ImageId
from bot.domain.job import Action, Image
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.notes import Note, named
from bot.domain.parameters import Parameters
from bot.domain.pasted import is_infotext
from bot.domain.plots.axes import find_axis
from bot.domain.plots.build import PlotWishes, build_plot, recorded_axes, style_values
from bot.domain.plots.checking import PlotContext
from bot.domain.plots.completing import axis_rows, value_rows
from bot.domain.scripts import Plot
from bot.domain.styles import Style, StyleParameters
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.origins import origin_of
from bot.studio.dynamic import in_time
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.plots.form import plot_form, read_form
from bot.studio.scripts.requesting import Asked, ScriptBases
from bot.studio.wardrobe import Wardrobe
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.commands import CHOICES_LIMIT, choices
from bot.ui.forms import fields_of
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.language.plots import recorded_plot
from gpu_worker.protocol.specs import JobSpec

__all__ = ["PLOT_FORMS", "PLOT_VERBS", "Plots"]

PLOT_VERBS = (Verb.PLOT,)
PLOT_FORMS = (Verb.PLOT_FORM,)


class Plots:
    def __init__(
        self,
        *,
        bases: ScriptBases,
        intake: Intake,
        models: Models,
        wardrobe: Wardrobe,
        jobs: Jobs,
        images: Images,
        limits: Limits,
    ) -> None:
        self._bases = bases
        self._intake = intake
        self._models = models
        self._wardrobe = wardrobe
        self._jobs = jobs
        self._images = images
        self._limits = limits
        self._rng = random.SystemRandom()

    async def ask(self, interaction: Interaction, asked: Asked, wishes: PlotWishes) -> None:
        """Axes that a pasted text of a plot has are taken where none is typed. Raises UserFacingError as a new request,
        as `build_plot`, and whatever refuses a job."""
        wishes = _with_recorded(asked.prompt, wishes)
        if wishes.random_seeds and _has_seed(asked):
            wishes = replace(wishes, random_seeds=False)
        async with self._bases.begun(interaction, asked) as base:
            plot, notes = await self._built(interaction, base.spec, wishes)
            await self._intake.begin(
                interaction, plot, Action.PLOT, notes=[*base.notes, *notes], private=base.private
            )  # fmt: skip

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `picture_unknown`, `job_draws_nothing`."""
        _, base = await self._picture(address)
        texts = texts_for(str(interaction.locale))
        await interaction.response.send_modal(plot_form(address.id, base, texts))

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError as `build_plot`, and whatever refuses a job."""
        image, base = await self._picture(address)
        wishes = read_form(fields_of(interaction))
        plot, notes = await self._built(interaction, base, wishes)
        await self._intake.begin(
            interaction, plot, Action.PLOT, source_image_id=image.id, parent_id=image.job_id, notes=notes
        )  # fmt: skip

    async def _picture(self, address: Address) -> tuple[Image, JobSpec]:
        """With the request that drew it from noise, however often it was enlarged since."""
        image = await self._images.get(ImageId(address.id))
        job = await self._jobs.get(image.job_id) if image is not None else None
        if image is None or job is None:
            raise UserFacingError("picture_unknown")
        origin, index = await origin_of(self._jobs, self._images, job, image.index)
        if not origin.draws:
            raise UserFacingError("job_draws_nothing")
        return image, actions.first_pass(actions.picture_spec(origin.spec, index))

    async def _built(self, interaction: Interaction, base: JobSpec, wishes: PlotWishes) -> tuple[Plot, Sequence[str]]:
        where = where_of(interaction)
        styles: dict[str, Sequence[Style]] = {}
        for value in dict.fromkeys(style_values(wishes, self._limits.max_script_cells)):
            styles[value] = await self._styles(interaction, value)
        make = partial(
            build_plot, base, wishes, facts=self._models.facts(where), limits=self._limits, rng=self._rng, styles=styles
        )
        # A hundred cells take a moment to be checked.
        plot = await in_time(interaction, asyncio.to_thread(make), hidden=True)
        plain = StyleParameters()
        loaded = {style.name: None for worn in styles.values() for style in worn if style.parameters != plain}
        notes = [Note("plot_style_parameters", {"names": named([*map(spoken, loaded)])})] if loaded else []
        return plot, told(notes, texts_for(str(interaction.locale)))

    async def _styles(self, interaction: Interaction, value: str) -> Sequence[Style]:
        try:
            return (await self._wardrobe.chosen(where_of(interaction), value or "None", None)).styles
        except UserFacingError as error:
            raise UserFacingError("plot_value", axis=f"Styles, {spoken(value)}", reason=error) from error

    # --- while it is typed --------------------------------------------------------------------------------------------

    def axes(self, current: str) -> list[app_commands.Choice[str]]:
        return _choices(axis_rows(current, _ranked))

    async def values(
        self, interaction: Interaction, axis_name: str, current: str, prompt: str
    ) -> list[app_commands.Choice[str]]:
        axis = find_axis(axis_name)
        where = where_of(interaction)
        names: Sequence[str] = ()
        if axis is not None and axis.name == "Styles":
            names = [*await self._wardrobe.open(where.user_id, where.guild_id)]
        elif axis is not None and axis.choices is not None:
            names = axis.choices(PlotContext(self._models.facts(where), self._limits))
        return _choices(value_rows(axis, current, names, prompt, _ranked))


def _choices(rows: Sequence[str]) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=row, value=row) for row in rows[:CHOICES_LIMIT]]


def _ranked(typed: str, names: Sequence[str]) -> list[str]:
    return [choice.value for choice in choices(typed, names)]


def _with_recorded(prompt: str, wishes: PlotWishes) -> PlotWishes:
    if any(wish.given or wish.text.strip() for wish in wishes.axes) or not is_infotext(prompt):
        return wishes
    record = recorded_plot(parse_infotext(prompt).fields)
    return wishes if record is None else replace(wishes, axes=recorded_axes(record))


def _has_seed(asked: Asked) -> bool:
    """Whether somebody chose the seed: then no cell draws its own (behaviours §14.5)."""
    return is_infotext(asked.prompt) or any(
        _chosen(parameters) for parameters in (asked.wishes, read_flags(asked.prompt).parameters)
    )


def _chosen(parameters: Parameters) -> bool:
    return parameters.seed not in (None, -1)
