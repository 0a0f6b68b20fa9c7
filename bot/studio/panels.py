"""The panel behind "advanced": a request that is not asked for yet, its parameters in groups, and "Draw"."""

from __future__ import annotations

import random
from collections.abc import Sequence

import discord

from bot.domain import actions
from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.domain.mentions import neutral
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.drafts import Draft, Drafts
from bot.storage.inputs import InputPictures, given_pictures
from bot.studio.advanced import GROUPS, advanced_form, groups_for, hidden_tails, read_advanced
from bot.studio.forms import parameters_line, sampler_name
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import joined, told
from bot.studio.sources import picture_of
from bot.studio.where import where_of
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of
from gpu_worker.protocol.specs import JobSpec

__all__ = ["Panels"]

PROMPT_CHARS = 300
LINE_CHARS = 1500
NOTES_CHARS = 1500
"""All texts of a message together may have 4000."""


class Panels:
    def __init__(
        self, *, drafts: Drafts, inputs: InputPictures, intake: Intake, models: Models, limits: Limits
    ) -> None:
        self._drafts = drafts
        self._inputs = inputs
        self._intake = intake
        self._models = models
        self._limits = limits
        self._rng = random.SystemRandom()

    async def open(
        self,
        interaction: Interaction,
        spec: JobSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Answers with the panel, which only the user sees. Raises UserFacingError."""
        await self.forget_old()
        async with self._inputs.holding(given_pictures(spec)):
            draft = await self._drafts.add(UserId(interaction.user.id), action, spec, source_image_id)
        view = panel(draft, texts_for(str(interaction.locale)), notes)
        if interaction.response.is_done():
            await interaction.edit_original_response(view=view)
        else:
            await interaction.response.send_message(view=view, ephemeral=True)

    async def forget_old(self) -> None:
        """Drafts of more than a week go, and with them the pictures that only they needed."""
        for spec in await self._drafts.drop_old():
            await self._inputs.discard_unused(given_pictures(spec))

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `draft_unknown`, `form_unknown`, and whatever refuses a job."""
        draft = await self._draft(interaction, address)
        if address.verb == Verb.DRAW:
            await self._intake.begin(interaction, draft.spec, draft.action, source_image_id=draft.source_image_id)
        else:
            texts = texts_for(str(interaction.locale))
            form = advanced_form(
                draft, address.n if address.n is not None else -1, texts, self._models.facts(where_of(interaction))
            )
            await interaction.response.send_modal(form)

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError as `build_imagine`; the draft then stays as it was."""
        draft = await self._draft(interaction, address)
        number = address.n if address.n is not None else -1
        wishes, dropped = read_advanced(draft, number, fields_of(interaction))
        built = actions.edit(
            draft.spec,
            prompt=draft.spec.prompt,
            negative_prompt=draft.spec.negative_prompt,
            changes=wishes,
            dropped=dropped,
            picture=picture_of(draft.spec),
            facts=self._models.facts(where_of(interaction)),
            limits=self._limits,
            rng=self._rng,
        )
        tails = hidden_tails(draft, number)
        draft = await self._drafts.change(draft, built.spec)
        texts = texts_for(str(interaction.locale))
        notes = told(built.notes, texts) + ([texts("note.tail_kept")] if tails else [])
        await interaction.response.edit_message(view=panel(draft, texts, notes))

    async def _draft(self, interaction: Interaction, address: Address) -> Draft:
        draft = await self._drafts.get(JobId(address.id))
        if draft is None or draft.user_id != interaction.user.id:
            raise UserFacingError("draft_unknown")
        return draft


def panel(draft: Draft, texts: Texts, notes: Sequence[str] = ()) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per panel: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
    line = neutral(f"{sampler_name(draft.spec)}, {parameters_line(draft.spec)}", LINE_CHARS)
    head = f"### {texts('advanced.title')}\n**{neutral(draft.spec.prompt, PROMPT_CHARS)}**\n-# {line}"
    box.add_item(discord.ui.TextDisplay(f"{head}\n{joined(notes, NOTES_CHARS, '-# ')}".rstrip()))
    groups: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow()
    for number in groups_for(draft.spec):
        item = button(Verb.ADVANCED, draft.id, texts(f"advanced.{GROUPS[number].key}"), n=number)
        groups.add_item(in_layout(item))
    box.add_item(groups)
    draw = button(Verb.DRAW, draft.id, texts("advanced.draw"), style=discord.ButtonStyle.primary, emoji="🎨")
    last: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(in_layout(draw))
    box.add_item(last)
    view.add_item(box)
    return view
