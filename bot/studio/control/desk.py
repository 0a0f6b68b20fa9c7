"""The desk behind the panel on which a request's control units are put together; it outlives restarts, as the panel."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncGenerator, Mapping, Sequence

import discord

from bot.domain.control.keeping import led_by
from bot.domain.control.kinds import UNITS_MAX, kind_named
from bot.domain.control.models import checkpoint_of, control_models, find_control
from bot.domain.control.units import MODES, TYPES, UnitWish, make_unit, with_kind, with_preprocessor
from bot.domain.job import Action
from bot.domain.mapping import choose_preprocessor, maps_of
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.drafts import Draft
from bot.studio.attachments import Attachments
from bot.studio.control.cards import (
    AUTO,
    BACK,
    SEARCH,
    STEP,
    Form,
    Shown,
    Step,
    UnitList,
    thumbnail_name,
    unit_page,
    units_page,
)
from bot.studio.control.forms import KEEP, NO_MASK, SOURCE, read_numbers, read_sizes, unit_form
from bot.studio.control.pictures import UnitPictures
from bot.studio.intake import Intake
from bot.studio.model_names import ModelNames
from bot.studio.models import Models
from bot.studio.panels import Panels
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.commands import NAME_LIMIT, choices
from bot.ui.forms import fields_of, uploads_of
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, ImageRef, Img2Img

__all__ = ["CONTROL_FORMS", "CONTROL_VERBS", "ControlDesk"]

CONTROL_VERBS = (Verb.CONTROL, Verb.CONTROL_PICK, Verb.CONTROL_OPEN, Verb.CONTROL_DO)
CONTROL_FORMS = (Verb.CONTROL_FORM,)


class ControlDesk:
    def __init__(
        self,
        *,
        panels: Panels,
        models: Models,
        names: ModelNames,
        attachments: Attachments,
        intake: Intake,
        pictures: UnitPictures,
    ) -> None:
        self._panels = panels
        self._models = models
        self._names = names
        self._attachments = attachments
        self._intake = intake
        self._pictures = pictures

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `draft_unknown`, `button_unknown`, and what refuses a change."""
        draft = await self._panels.draft(interaction, address)
        if address.verb == Verb.CONTROL:
            if address.n == BACK:
                await self._panels.shown(interaction, draft)
            else:
                await self.show(interaction, draft, address.n)
            return
        at, what = divmod(address.n if address.n is not None else -1, STEP)
        match address.verb:
            case Verb.CONTROL_OPEN:
                await self._open(interaction, draft, at, what)
            case Verb.CONTROL_PICK if chosen_value(interaction) == SEARCH:
                self._unit(draft, at)
                form = Form.MODEL if what == UnitList.MODEL else Form.PREPROCESSOR
                texts = texts_for(str(interaction.locale))
                await interaction.response.send_modal(unit_form(draft, at, form, texts))
            case Verb.CONTROL_PICK:
                unit = self._picked(interaction, draft, self._unit(draft, at), what)
                await self._keep(interaction, draft, at, unit)
            case Verb.CONTROL_DO:
                await self._do(interaction, draft, at, what)
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the draft then stays as it was."""
        draft = await self._panels.draft(interaction, address)
        at, what = divmod(address.n if address.n is not None else -1, STEP)
        fields = fields_of(interaction)
        if what == Form.PICTURES:
            await self._give(interaction, address, draft, at, fields)
            return
        unit = self._unit(draft, at)
        match what:
            case Form.NUMBERS:
                unit = read_numbers(unit, fields)
            case Form.SIZES:
                unit = read_sizes(unit, fields)
            case Form.MODEL:
                unit = self._searched_model(interaction, draft, unit, fields.get("text", ""))
            case Form.PREPROCESSOR:
                typed = fields.get("text", "")
                near = choices(typed, [entry.name for entry in PREPROCESSOR_TABLE])
                unit = with_preprocessor(unit, near[0].value if near else typed)
            case _:
                raise UserFacingError("form_unknown")
        await self._keep(interaction, draft, at, unit)

    async def show(
        self, interaction: Interaction, draft: Draft, at: int | None = None, notes: Sequence[str] = ()
    ) -> None:
        """The page of a unit; the list of all where there is no such unit."""
        await begin_redraw(interaction)  # pictures are read and made small
        where = where_of(interaction)
        page = at if at is not None and at < len(draft.spec.control) else None
        small = await self._pictures.small(interaction, draft, page)
        shown = Shown(texts_for(str(interaction.locale)), self._models.facts(where), self._names, small)
        view = unit_page(draft, page, shown, notes) if page is not None else units_page(draft, shown, notes)
        files = [discord.File(io.BytesIO(data), thumbnail_name(number)) for number, data in small.items()]
        await redraw(interaction, view, files)

    # --- presses ------------------------------------------------------------------------------------------------------

    async def _open(self, interaction: Interaction, draft: Draft, at: int, what: int) -> None:
        units = len(draft.spec.control)
        # Where units have gone meanwhile, a new one is the next.
        at = min(at, units) if what == Form.PICTURES else at
        if what not in {*Form} or not 0 <= at <= units or (at == units and what != Form.PICTURES):
            raise UserFacingError("control_unit_gone")
        if at >= UNITS_MAX:
            raise UserFacingError("control_full", most=UNITS_MAX)
        if at == units:
            # Whether anything can lead at all comes before somebody uploads a picture.
            make_unit(UnitWish(), None, checkpoint_of(draft.spec, self._facts(interaction)), self._facts(interaction))
        texts = texts_for(str(interaction.locale))
        await interaction.response.send_modal(unit_form(draft, at, Form(what), texts))

    def _picked(self, interaction: Interaction, draft: Draft, unit: ControlUnit, which: int) -> ControlUnit:
        facts, value = self._facts(interaction), chosen_value(interaction)
        checkpoint = checkpoint_of(draft.spec, facts)
        match which:
            case UnitList.KIND if (kind := kind_named(value)) is not None:
                return with_kind(unit, kind, checkpoint, facts)
            case UnitList.PREPROCESSOR:
                return with_preprocessor(unit, value)
            case UnitList.MODEL:
                wanted = self._names.named("controlnet", value) or value
                return unit.model_copy(update={"model": find_control(wanted, checkpoint, facts).name})
            case UnitList.MODE if value in MODES:
                return unit.model_copy(update={"mode": value})
            case UnitList.TYPE if value in (*TYPES, AUTO):
                return unit.model_copy(update={"control_type": None if value == AUTO else value})
            case _:
                raise UserFacingError("button_unknown")

    def _searched_model(self, interaction: Interaction, draft: Draft, unit: ControlUnit, typed: str) -> ControlUnit:
        """The fitting one that is most like what was typed."""
        facts = self._facts(interaction)
        checkpoint = checkpoint_of(draft.spec, facts)
        names = {fact.name[:NAME_LIMIT]: fact.name for fact in control_models(checkpoint, facts)}
        near = choices(typed, [*names])
        name = names[near[0].value] if near else find_control(typed, checkpoint, facts).name
        return unit.model_copy(update={"model": name})

    async def _do(self, interaction: Interaction, draft: Draft, at: int, what: int) -> None:
        unit, units = self._unit(draft, at), [*draft.spec.control]
        match what:
            case Step.EARLIER if at:
                units[at - 1 : at + 1] = unit, units[at - 1]
                await self._change(interaction, draft, units, at - 1)
            case Step.REMOVE:
                del units[at]
                await self._change(interaction, draft, units, None)
            case Step.MAP:
                await self._map(interaction, draft, at, unit)
            case _:
                raise UserFacingError("button_unknown")

    async def _map(self, interaction: Interaction, draft: Draft, at: int, unit: ControlUnit) -> None:
        """The preprocessed picture, as a card for this person alone."""
        ref = unit.image or (draft.spec.image if isinstance(draft.spec, Img2Img) else None)
        made = maps_of(led_by(draft.spec, [unit]))
        if ref is None or made is None:
            raise UserFacingError("control_picture_missing", number=at)
        if not await self._pictures.may_see(interaction, draft, ref):
            raise UserFacingError("control_picture_hidden")
        choose_preprocessor(unit.preprocessor, self._facts(interaction))
        await self._intake.begin(interaction, made, Action.PREPROCESS, parent_id=draft.parent_id, private=True)

    # --- pictures -----------------------------------------------------------------------------------------------------

    async def _give(
        self, interaction: Interaction, address: Address, draft: Draft, at: int, fields: Mapping[str, str]
    ) -> None:
        uploads, new = uploads_of(interaction), at == len(draft.spec.control)
        self._require_place(at, draft.spec.control)
        for upload in uploads.values():
            self._attachments.check(upload)
        # Fetching may take longer than an answer may; what is answered later is the desk itself.
        await begin_redraw(interaction)
        async with self._taken(uploads.get("image")) as image, self._taken(uploads.get("mask")) as mask:
            # As it is now: other things may have been changed while the pictures came.
            draft = await self._panels.draft(interaction, address)
            units = [*draft.spec.control]
            at = len(units) if new else at
            self._require_place(at, units)
            if new:
                if image is None and not isinstance(draft.spec, Img2Img):
                    raise UserFacingError("control_picture_missing", number=at)
                facts = self._facts(interaction)
                kind = fields.get("kind") or AUTO
                wish = UnitWish(kind=None if kind == AUTO else kind)
                unit = make_unit(wish, image, checkpoint_of(draft.spec, facts), facts)
                units.append(unit.model_copy(update={"mask": mask}))
            else:
                keep = fields.get("keep") or KEEP
                old = units[at]
                kept_mask = None if keep == NO_MASK else old.mask
                kept_image = None if keep == SOURCE and isinstance(draft.spec, Img2Img) else old.image
                units[at] = old.model_copy(update={"image": image or kept_image, "mask": mask or kept_mask})
            await self._change(interaction, draft, units, at)

    @contextlib.asynccontextmanager
    async def _taken(self, upload: discord.Attachment | None) -> AsyncGenerator[ImageRef | None]:
        """Kept durably, and gone again where the body raises. Raises UserFacingError as `Attachments.taken`."""
        if upload is None:
            yield None
            return
        async with self._attachments.taken(upload, None) as given:
            yield given.image

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _keep(self, interaction: Interaction, draft: Draft, at: int, unit: ControlUnit) -> None:
        units = [*draft.spec.control]
        units[at] = unit
        await self._change(interaction, draft, units, at)

    async def _change(
        self, interaction: Interaction, draft: Draft, units: Sequence[ControlUnit], at: int | None
    ) -> None:
        draft = await self._panels.changed(draft, led_by(draft.spec, units))
        await self.show(interaction, draft, at)

    def _facts(self, interaction: Interaction) -> tuple[ModelFact, ...]:
        return self._models.facts(where_of(interaction))

    @staticmethod
    def _require_place(at: int, units: Sequence[ControlUnit]) -> None:
        """Of a unit, or of one more. Raises UserFacingError (`control_unit_gone`, `control_full`)."""
        if not 0 <= at <= len(units):
            raise UserFacingError("control_unit_gone")
        if at >= UNITS_MAX:
            raise UserFacingError("control_full", most=UNITS_MAX)

    @staticmethod
    def _unit(draft: Draft, at: int) -> ControlUnit:
        """Raises UserFacingError (`control_unit_gone`)."""
        if not 0 <= at < len(draft.spec.control):
            raise UserFacingError("control_unit_gone")
        return draft.spec.control[at]
