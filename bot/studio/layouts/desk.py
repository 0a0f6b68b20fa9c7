"""The desk behind the panel on which a picture's regions are laid out; it outlives restarts, as the panel."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

import discord

from bot.domain.imagine import Built
from bot.domain.layouts.keeping import region_notes
from bot.domain.layouts.parts import Arrangement
from bot.domain.layouts.rectangles import read_layout
from bot.domain.mentions import neutral
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.drafts import Draft
from bot.studio.layouts.cards import PICTURE_NAME, Step, desk_page
from bot.studio.layouts.forms import (
    added,
    extension_said,
    layout_form,
    optioned,
    region_changed,
    region_form,
    retold,
)
from bot.studio.layouts.picture import layout_picture
from bot.studio.notes import told
from bot.studio.panel_changes import PanelChanges
from bot.studio.panels import Panels
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value

__all__ = ["LAYOUT_FORMS", "LAYOUT_VERBS", "LayoutDesk", "laid"]

LAYOUT_VERBS = (Verb.LAYOUT, Verb.LAYOUT_PICK, Verb.LAYOUT_SHAPE)
LAYOUT_FORMS = (Verb.LAYOUT_FORM,)


class LayoutDesk:
    def __init__(self, *, panels: Panels, changes: PanelChanges) -> None:
        self._panels = panels
        self._changes = changes

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `draft_unknown`, `button_unknown`, `regions_gone`, and what refuses a change."""
        draft = await self._panels.draft(interaction, address)
        texts = texts_for(str(interaction.locale))
        match address.verb, address.n:
            case Verb.LAYOUT_PICK, _:
                value = chosen_value(interaction)
                at = int(value) if value.isdecimal() and len(value) < 4 else -1
                await interaction.response.send_modal(region_form(draft, at, texts))
            case Verb.LAYOUT_SHAPE, _:
                before = Arrangement.of(draft.spec)
                after = before.relaid(read_layout(chosen_value(interaction)))
                lost = [part.text for part in before.parts[len(after.parts) :] if part.text]
                # Their words are to be read, and copied, where they have no place any more.
                notes = [texts("regions.left_out", words=neutral(" ".join(words.split()), 300)) for words in lost]
                await self._keep(interaction, draft, after, notes=notes)
            case Verb.LAYOUT, Step.OPEN:
                await self.show(interaction, draft)
            case Verb.LAYOUT, Step.PANEL:
                await self._panels.shown(interaction, draft)
            case Verb.LAYOUT, Step.CLEAR:
                first = Arrangement.of(draft.spec).parts[0].text
                await self._keep(interaction, draft, None, prompt=first or draft.spec.prompt)
            case Verb.LAYOUT, Step.ADD | Step.TEXT | Step.OPTIONS | Step.EXTENSION:
                await interaction.response.send_modal(layout_form(draft, Step(address.n), texts))
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the draft then stays as it was."""
        draft = await self._panels.draft(interaction, address)
        fields, n = fields_of(interaction), address.n if address.n is not None else -1
        match n:
            case Step.ADD:
                await self._keep(interaction, draft, added(draft, fields))
            case Step.TEXT:
                arrangement, negative = retold(draft, fields)
                await self._keep(interaction, draft, arrangement, negative=negative)
            case Step.OPTIONS:
                await self._keep(interaction, draft, optioned(draft, fields))
            case Step.EXTENSION:
                regions = draft.spec.regions
                apart = regions is not None and regions.loras_apart
                arrangement = extension_said(fields.get("syntax", ""), draft.spec.prompt, loras_apart=apart)
                await self._keep(interaction, draft, arrangement)
            case _ if n >= Step.REGION:
                await self._keep(interaction, draft, region_changed(draft, n - Step.REGION, fields))
            case _:
                raise UserFacingError("form_unknown")

    async def show(self, interaction: Interaction, draft: Draft, notes: Sequence[str] = ()) -> None:
        """In the place of the panel, or as an answer for the user alone."""
        await begin_redraw(interaction)
        texts = texts_for(str(interaction.locale))
        spec = draft.spec
        picture = await asyncio.to_thread(layout_picture, Arrangement.of(spec), spec.width, spec.height)
        private = await self._panels.is_private(interaction, draft)
        notes = [*notes, *told(region_notes(spec), texts)]
        page = desk_page(draft, texts, notes, private=private)
        await redraw(interaction, page, [discord.File(io.BytesIO(picture), PICTURE_NAME)])

    async def _keep(
        self,
        interaction: Interaction,
        draft: Draft,
        arrangement: Arrangement | None,
        *,
        prompt: str | None = None,
        negative: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """None takes the regions away. The words go the way of any changed prompt, so that what refuses them does."""
        built = laid(self._changes, interaction, draft, arrangement, prompt=prompt, negative=negative)
        draft = await self._panels.changed(draft, built.spec)
        await self.show(interaction, draft, [*notes, *told(built.notes, texts_for(str(interaction.locale)))])


def laid(
    changes: PanelChanges,
    interaction: Interaction,
    draft: Draft,
    arrangement: Arrangement | None,
    *,
    prompt: str | None = None,
    negative: str | None = None,
) -> Built:
    """The draft's request with these parts and regions. Raises UserFacingError as `build_imagine`."""
    words = prompt if prompt is not None or arrangement is None else arrangement.prompt
    built = changes.built(interaction, draft, prompt=words, negative_prompt=negative)
    notes = tuple(note for note in built.notes if note.key != "regions_dropped")
    regions = arrangement.regions if arrangement is not None else None
    return Built(built.spec.model_copy(update={"regions": regions}), notes)
