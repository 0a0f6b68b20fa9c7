"""A script is shown with its pictures, time and quota first, and drawn by a press."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import discord

from bot.delivery.grid_card import PROMPT_CHARS
from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Action, Lane
from bot.domain.limits import Limits
from bot.domain.mentions import neutral
from bot.domain.model_rules import Where
from bot.domain.safety.limits import Limit, Spent
from bot.domain.scripts import ScriptSpec
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.facts import Timings
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.script_offers import ScriptOffer, ScriptOffers
from bot.storage.scripts import as_sheet
from bot.studio.dynamic import in_time
from bot.studio.intake import Intake
from bot.studio.new_jobs import job_from
from bot.studio.notes import joined
from bot.studio.safety.request import JobRequest
from bot.studio.scripts.preparing import Prepared, prepared
from bot.studio.where import where_of
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb

__all__ = ["Scripting"]

BLUE = 0x5865F2
NOTES_CHARS = 1000
SOON_S = 90

Standing = Callable[[Where], Awaitable[list[tuple[dict[Limit, int], Spent]]]]


class Scripting:
    def __init__(
        self,
        *,
        intake: Intake,
        offers: ScriptOffers,
        inputs: InputPictures,
        timings: Timings,
        limits: Limits,
        standing: Standing,
    ) -> None:
        """`standing` as `LimitCheck.standing`."""
        self._intake = intake
        self._offers = offers
        self._inputs = inputs
        self._timings = timings
        self._limits = limits
        self._standing = standing

    async def offer(
        self,
        interaction: Interaction,
        script: ScriptSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        parent_id: JobId | None = None,
        notes: Sequence[str] = (),
        private: bool = False,
    ) -> None:
        """Answers with what it costs, for its user's eyes; `private` is what is drawn.

        Raises UserFacingError: `script_too_many`, and what refuses any of its cells.
        """
        ready = await in_time(interaction, self._checked(interaction, script, action), hidden=True)
        async with self._inputs.holding(given_pictures(script)):
            offer = await self._offers.add(
                UserId(interaction.user.id), script, action, source_image_id=source_image_id, parent_id=parent_id,
                private=private,
            )  # fmt: skip
        view = await self._card(offer, ready, where_of(interaction), texts_for(str(interaction.locale)), notes)
        if interaction.response.is_done():
            await interaction.edit_original_response(view=view)
        else:
            await interaction.response.send_message(view=view, ephemeral=True)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `script_offer_unknown`, `script_drawn`, and whatever refuses a job."""
        offer = await self._offers.get(address.id)
        if offer is None or offer.user_id != interaction.user.id:
            raise UserFacingError("script_offer_unknown")
        if not await self._offers.take(offer.id):
            raise UserFacingError("script_drawn")
        try:
            await self._begin(interaction, offer)
        except BaseException:
            await self._offers.give_back(offer.id)
            raise

    async def _begin(self, interaction: Interaction, offer: ScriptOffer) -> None:
        ready = await in_time(interaction, self._checked(interaction, offer.script, offer.action), hidden=offer.private)
        new = job_from(
            interaction, offer.script, offer.action, lane=Lane.SCRIPT, source_image_id=offer.source_image_id,
            parent_id=offer.parent_id, private=offer.private,
        )  # fmt: skip
        new = replace(new, id=offer.id)  # by which a bot that died knows whether it has begun
        request = JobRequest(
            new.user_id, offer.script, offer.action, where_of(interaction), new.locale, wanted=ready.wanted
        )
        sheets = [as_sheet(new, sheet) for sheet in ready.sheets]
        await self._intake.commit(interaction, request, new, sheets)
        for sheet in ready.sheets:
            await self._intake.used(sheet, new.user_id)

    async def _checked(self, interaction: Interaction, script: ScriptSpec, action: Action) -> Prepared:
        """Every cell is judged as if it was asked for by itself. Raises UserFacingError."""
        ready = await prepared(script, self._limits.max_script_cells, self._timings.estimate_s)
        where, locale = where_of(interaction), str(interaction.locale)
        for spec in ready.judged:
            await self._intake.check(JobRequest(UserId(interaction.user.id), spec, action, where, locale))
        return ready

    # --- what it shows ------------------------------------------------------------------------------------------------

    async def _card(
        self, offer: ScriptOffer, ready: Prepared, where: Where, texts: Texts, notes: Sequence[str]
    ) -> discord.ui.LayoutView:
        view = discord.ui.LayoutView(timeout=None)
        # Finished from the start, so discord.py does not keep one per offer: its button is found by its address.
        view.stop()
        count = ready.wanted.pictures
        layout = offer.script.layout()
        lines = [
            f"### {texts(f'script.title.{offer.script.kind}')}",
            f"**{neutral(offer.script.base.prompt, PROMPT_CHARS)}**",
            _shape(layout.columns, layout.rows, layout.pages, count, texts),
            _time(ready.seconds, texts),
            *await self._left(where, texts),
        ]
        if notes:
            lines.append(joined(notes, NOTES_CHARS, "-# "))
        box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
        box.add_item(discord.ui.TextDisplay("\n".join(lines)))
        draw = button(
            Verb.SCRIPT_DRAW, offer.id, texts("script.draw", n=count), style=discord.ButtonStyle.primary, emoji="🎨"
        )
        row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(in_layout(draw))
        box.add_item(row)
        view.add_item(box)
        return view

    async def _left(self, where: Where, texts: Texts) -> list[str]:
        """The strictest word of each kind."""
        pictures: list[int] = []
        minutes: list[int] = []
        for limits, spent in await self._standing(where):
            if Limit.PICTURES in limits:
                pictures.append(max(0, limits[Limit.PICTURES] - spent.pictures))
            if Limit.GPU_S in limits:
                minutes.append(max(0, math.floor((limits[Limit.GPU_S] - spent.gpu_s) / 60)))
        found: list[str] = []
        if pictures:
            found.append(texts("script.left_pictures", n=min(pictures)))
        if minutes:
            found.append(texts("script.left_minutes", n=min(minutes)))
        return found


def _shape(columns: int, rows: int, pages: int, count: int, texts: Texts) -> str:
    if pages > 1:
        return texts("script.shape_pages", n=count, columns=columns, rows=rows, pages=pages)
    return texts("script.shape", n=count, columns=columns, rows=rows)


def _time(seconds: float | None, texts: Texts) -> str:
    if seconds is None:
        return texts("script.time_unknown")
    if seconds < SOON_S:
        return texts("script.time_seconds", n=max(1, round(seconds)))
    return texts("script.time_minutes", n=math.ceil(seconds / 60))
