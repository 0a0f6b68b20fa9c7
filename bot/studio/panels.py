"""The panel: a request that is not asked for yet, all its parameters, what is different, and "Draw"."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.domain.audience import read_audience
from bot.domain.changes import changed_wishes
from bot.domain.ids import ImageId, JobId
from bot.domain.imagine import Built
from bot.domain.job import Action
from bot.domain.last_time import as_last_time
from bot.domain.limits import Limits
from bot.domain.lora_tags import with_weights
from bot.domain.parameters import Parameters
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.drafts import Draft, Drafts
from bot.storage.inputs import InputPictures, given_pictures
from bot.storage.jobs import Jobs
from bot.storage.last_tweaks import LastTweaks
from bot.studio.advanced import GROUPS, Sent, advanced_form, hidden_tails, read_advanced
from bot.studio.attachments import Attachments
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.panel_card import panel
from bot.studio.panel_changes import PanelChanges
from bot.studio.panel_drafts import PanelDrafts
from bot.studio.panel_lists import (
    SEARCH,
    SEARCHED,
    List,
    PanelLists,
    not_found,
    shape_of,
)
from bot.studio.panel_sources import dropped_with, source_after
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import fields_of, form_of, text_field, uploads_of
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value, chosen_values
from gpu_worker.protocol.specs import JobSpec

__all__ = ["PANEL_FORMS", "PANEL_VERBS", "Panels"]

PANEL_VERBS = (Verb.ADVANCED, Verb.DRAW, Verb.PICK, Verb.REVISE)
PANEL_FORMS = (Verb.ADVANCED_FORM, Verb.LOOKUP_FORM)
SEARCH_CHARS = 100
_SOURCE = next(number for number, group in enumerate(GROUPS) if group.key == "source")


class Panels(PanelDrafts):
    def __init__(
        self,
        *,
        drafts: Drafts,
        jobs: Jobs,
        inputs: InputPictures,
        intake: Intake,
        models: Models,
        lists: PanelLists,
        attachments: Attachments,
        last_tweaks: LastTweaks,
        limits: Limits,
    ) -> None:
        super().__init__(drafts, inputs)
        self._jobs = jobs
        self._intake = intake
        self._models = models
        self._lists = lists
        self._attachments = attachments
        self._last = last_tweaks
        self._drawing: set[str] = set()
        """Drafts whose request is on its way into the table."""
        self._changes = PanelChanges(models=models, lists=lists, limits=limits)

    async def open(
        self,
        interaction: Interaction,
        spec: JobSpec,
        action: Action,
        *,
        source_image_id: ImageId | None = None,
        notes: Sequence[str] = (),
        base: JobSpec | None = None,
        parent_id: JobId | None = None,
        private: bool = False,
    ) -> None:
        """Answers with the panel, which only the user sees; the rest as `add`."""
        draft = await self.add(
            interaction,
            spec,
            action,
            source_image_id=source_image_id,
            base=base,
            parent_id=parent_id,
            private=private,
        )
        view = await self._view(interaction, draft, notes)
        if interaction.response.is_done():
            await interaction.edit_original_response(view=view)
        else:
            await interaction.response.send_message(view=view, ephemeral=True)

    # --- presses ------------------------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `draft_unknown`, `form_unknown`, and whatever refuses a job or a change."""
        draft = await self.draft(interaction, address)
        match address.verb:
            case Verb.DRAW:
                private = address.n == 1 if address.n is not None else None
                await self._draw(interaction, draft, private=private)
            case Verb.PICK:
                await self._pick(interaction, draft, _list(address))
            case Verb.REVISE if address.n == 1 and draft.base is not None:
                await self._show(interaction, await self._drafts.change(draft, draft.base))
            case Verb.REVISE if address.n == 2:
                wishes = as_last_time(await self._last.get(draft.user_id), draft.spec, self._changes.facts(interaction))
                await self._change(interaction, draft, wishes)
            case Verb.ADVANCED:
                texts = texts_for(str(interaction.locale))
                form = advanced_form(draft, _number(address), texts, self._changes.facts(interaction))
                await interaction.response.send_modal(form)
            case _:
                raise UserFacingError("button_unknown")

    async def _draw(self, interaction: Interaction, draft: Draft, *, private: bool | None) -> None:
        # Pressed twice: the same seed would draw the same picture.
        if draft.id in self._drawing:
            raise UserFacingError("tweak_waiting")
        self._drawing.add(draft.id)
        try:
            if await self._jobs.waits_alike(draft.user_id, draft.spec):
                raise UserFacingError("tweak_waiting")
            await self._intake.begin(
                interaction,
                draft.spec,
                draft.action,
                source_image_id=draft.source_image_id,
                parent_id=draft.parent_id,
                private=await self.is_private(interaction, draft) if private is None else private,
            )
        finally:
            self._drawing.discard(draft.id)
        if draft.base is not None:
            await self._last.put(draft.user_id, changed_wishes(draft.base, draft.spec))

    async def _pick(self, interaction: Interaction, draft: Draft, which: List) -> None:
        values = chosen_values(interaction)
        if which in SEARCHED and SEARCH in values:
            texts = texts_for(str(interaction.locale))
            form = form_of(texts("tweak.search_title"), encode(Verb.LOOKUP_FORM, draft.id, which))
            text_field(
                form, "text", texts("tweak.search_label"), texts("tweak.search_field_hint"),
                draft.searches.get(SEARCHED[which], ""), paragraph=False, max_length=SEARCH_CHARS,
            )  # fmt: skip
            await interaction.response.send_modal(form)
            if which in (List.LORAS, List.STYLES) and len(values) > 1:
                # What was ticked together with "search" is not lost with it.
                ticked = self._changes.dressed if which is List.STYLES else self._changes.with_loras
                built = await ticked(interaction, draft, values)
                await self._drafts.change(draft, built.spec)
            return
        match which:
            case List.CHECKPOINT:
                name = self._lists.chosen(which, chosen_value(interaction))
                await self._change(interaction, draft, self._changes.checkpoint(interaction, draft.spec, name))
            case List.SAMPLER:
                await self._change(interaction, draft, Parameters(sampler=chosen_value(interaction)))
            case List.SIZE:
                await self._change(interaction, draft, shape_of(draft.spec, chosen_value(interaction)))
            case List.LORAS:
                built = await self._changes.with_loras(interaction, draft, values)
                await self._keep(interaction, draft, built)
            case List.STYLES:
                await self._keep(interaction, draft, await self._changes.dressed(interaction, draft, values))

    # --- forms --------------------------------------------------------------------------------------------------------

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError as `build_imagine`; the draft then stays as it was."""
        draft = await self.draft(interaction, address)
        fields = fields_of(interaction)
        if address.verb == Verb.LOOKUP_FORM:
            text = " ".join(fields.get("text", "").split())[:SEARCH_CHARS]
            await self._show(interaction, await self._drafts.search(draft, SEARCHED[_list(address)], text))
            return
        number = _number(address)
        sent = read_advanced(draft, number, fields)
        notes = [texts_for(str(interaction.locale))("note.tail_kept")] if hidden_tails(draft, number) else []
        if number == _SOURCE:
            await self._source(interaction, draft, sent)
            return
        prompt, private = read_audience(sent.prompt) if sent.prompt is not None else (draft.spec.prompt, None)
        if sent.weights:
            prompt = with_weights(prompt, sent.weights)
        built = self._changes.built(
            interaction, draft, sent.wishes, sent.dropped, prompt=prompt, negative_prompt=sent.negative_prompt
        )
        await self._keep(interaction, draft, built, notes, private=private)

    async def _source(self, interaction: Interaction, draft: Draft, sent: Sent) -> None:
        uploads = uploads_of(interaction)
        for upload in uploads.values():
            self._attachments.check(upload)
        # Fetching may take longer than an answer may; what is answered later is the panel itself.
        await begin_redraw(interaction)
        async with source_after(draft.spec, sent.keep, uploads, self._attachments) as picture:
            typed = {name for name, wish in vars(sent.wishes).items() if wish is not None}
            gone = [name for name in dropped_with(draft.spec, picture) if name not in typed]
            wishes = sent.wishes
            if picture is None:
                wishes, gone = Parameters(), [*dropped_with(draft.spec, picture)]
            built = self._changes.built(interaction, draft, wishes, (*sent.dropped, *gone), picture=picture, given=True)
            before = draft.spec
            await self._keep(interaction, draft, built)
        await self._inputs.discard_unused(given_pictures(before))

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _change(self, interaction: Interaction, draft: Draft, wishes: Parameters) -> None:
        await self._keep(interaction, draft, self._changes.built(interaction, draft, wishes))

    async def _keep(
        self,
        interaction: Interaction,
        draft: Draft,
        built: Built,
        notes: Sequence[str] = (),
        *,
        private: bool | None = None,
    ) -> None:
        async with self._inputs.holding(given_pictures(built.spec)):
            draft = await self._drafts.change(draft, built.spec, private=private)
        await self._show(interaction, draft, [*told(built.notes, texts_for(str(interaction.locale))), *notes])

    async def _show(self, interaction: Interaction, draft: Draft, notes: Sequence[str] = ()) -> None:
        view = await self._view(interaction, draft, notes)
        await redraw(interaction, view)

    async def _view(self, interaction: Interaction, draft: Draft, notes: Sequence[str]) -> discord.ui.LayoutView:
        texts, where = texts_for(str(interaction.locale)), where_of(interaction)
        lists = await self._lists.of(draft, where, texts)
        last = as_last_time(await self._last.get(draft.user_id), draft.spec, self._models.facts(where))
        private = await self.is_private(interaction, draft)
        notes = [*notes, *not_found(lists, draft, texts)]
        return panel(draft, texts, notes, lists=lists, last=last, private=private)

    @property
    def changes(self) -> PanelChanges:
        return self._changes

    async def shown(self, interaction: Interaction, draft: Draft) -> None:
        """The panel in the place of a part's own desk, without that one's pictures."""
        await redraw(interaction, await self._view(interaction, draft, ()), ())

    async def is_private(self, interaction: Interaction, draft: Draft) -> bool:
        return draft.private or await self._intake.is_private(interaction, draft.parent_id, draft.source_image_id)


def _number(address: Address) -> int:
    return address.n if address.n is not None else -1


def _list(address: Address) -> List:
    """Raises UserFacingError (`button_unknown`)."""
    try:
        return List(_number(address))
    except ValueError:
        raise UserFacingError("button_unknown") from None
