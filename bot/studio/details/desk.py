"""The desk behind the panel on which a request's units of detail fix are put together; it outlives restarts."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.detail_fixes import find_detector
from bot.domain.detail_forms import MERGES, SORTS
from bot.domain.limits import Limits
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.drafts import Draft
from bot.studio.details.cards import AREAS, BACK, STEP, Form, Step, UnitList, unit_page, units_page
from bot.studio.details.forms import read_unit, unit_form
from bot.studio.models import Models
from bot.studio.panels import Panels
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of
from bot.ui.redraw import redraw
from bot.ui.selects import chosen_value
from gpu_worker.protocol.specs import DETAILS_MAX, DetailFix

__all__ = ["DETAIL_FORMS", "DETAIL_VERBS", "DetailDesk"]

DETAIL_VERBS = (Verb.DETAILS, Verb.DETAILS_PICK, Verb.DETAILS_OPEN, Verb.DETAILS_DO)
DETAIL_FORMS = (Verb.DETAILS_FORM,)


class DetailDesk:
    def __init__(self, *, panels: Panels, models: Models, limits: Limits) -> None:
        self._panels = panels
        self._models = models
        self._limits = limits

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `draft_unknown`, `button_unknown`, and what refuses a change."""
        draft = await self._panels.draft(interaction, address)
        if address.verb == Verb.DETAILS:
            if address.n == BACK:
                await self._panels.shown(interaction, draft)
            else:
                await self.show(interaction, draft, address.n)
            return
        at, what = divmod(address.n if address.n is not None else -1, STEP)
        match address.verb:
            case Verb.DETAILS_PICK:
                await self._pick(interaction, draft, at, what)
            case Verb.DETAILS_OPEN:
                self._unit(draft, at)
                if what not in {*Form}:
                    raise UserFacingError("button_unknown")
                texts = texts_for(str(interaction.locale))
                await interaction.response.send_modal(unit_form(draft, at, Form(what), texts))
            case Verb.DETAILS_DO:
                await self._do(interaction, draft, at, what)
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the draft then stays as it was."""
        draft = await self._panels.draft(interaction, address)
        at, what = divmod(address.n if address.n is not None else -1, STEP)
        unit = read_unit(self._unit(draft, at), what, fields_of(interaction), self._limits)
        await self._change(interaction, draft, _replaced(draft, at, unit), at)

    async def show(
        self, interaction: Interaction, draft: Draft, at: int | None = None, notes: Sequence[str] = ()
    ) -> None:
        """The page of a unit; the list of all where there is no such unit."""
        facts, texts = self._models.facts(where_of(interaction)), texts_for(str(interaction.locale))
        if at is not None and at < len(draft.spec.details):
            view = unit_page(draft, at, texts, facts, notes)
        else:
            view = units_page(draft, texts, facts, notes)
        await redraw(interaction, view, ())

    async def _pick(self, interaction: Interaction, draft: Draft, at: int, which: int) -> None:
        value = chosen_value(interaction)
        if which == UnitList.MODEL:
            model = find_detector(value, self._models.facts(where_of(interaction)))
            if at >= len(draft.spec.details):
                if len(draft.spec.details) >= DETAILS_MAX:
                    raise UserFacingError("details_many", most=DETAILS_MAX)
                units = (*draft.spec.details, DetailFix(model=model))
                await self._change(interaction, draft, units, len(units) - 1)
                return
            unit = self._unit(draft, at).model_copy(update={"model": model})
        elif which == UnitList.SORT and value in SORTS:
            unit = self._unit(draft, at).model_copy(update={"sort": value})
        elif which == UnitList.MERGE and value in MERGES:
            unit = self._unit(draft, at).model_copy(update={"merge": value})
        elif which == UnitList.AREA and value in AREAS:
            unit = self._unit(draft, at).model_copy(update={"only_masked": value == AREAS[0]})
        else:
            raise UserFacingError("button_unknown")
        await self._change(interaction, draft, _replaced(draft, at, unit), at)

    async def _do(self, interaction: Interaction, draft: Draft, at: int, what: int) -> None:
        unit, units = self._unit(draft, at), [*draft.spec.details]
        if what == Step.EARLIER and at:
            units[at - 1 : at + 1] = unit, units[at - 1]
            await self._change(interaction, draft, units, at - 1)
        elif what == Step.REMOVE:
            del units[at]
            await self._change(interaction, draft, units, None)
        else:
            raise UserFacingError("button_unknown")

    async def _change(self, interaction: Interaction, draft: Draft, units: Sequence[DetailFix], at: int | None) -> None:
        spec = draft.spec.model_copy(update={"details": tuple(units)})
        await self.show(interaction, await self._panels.changed(draft, spec), at)

    @staticmethod
    def _unit(draft: Draft, at: int) -> DetailFix:
        """Raises UserFacingError (`detail_unit_gone`)."""
        if not 0 <= at < len(draft.spec.details):
            raise UserFacingError("detail_unit_gone")
        return draft.spec.details[at]


def _replaced(draft: Draft, at: int, unit: DetailFix) -> tuple[DetailFix, ...]:
    return tuple(unit if number == at else each for number, each in enumerate(draft.spec.details))
