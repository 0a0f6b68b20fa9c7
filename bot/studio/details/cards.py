"""The desk of detail fix: a request's units in a list, and each on a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import discord

from bot.domain.detail_fixes import unit_line
from bot.domain.detail_forms import MERGES, SORTS
from bot.domain.mentions import neutral
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row
from gpu_worker.language.detectors import FACES, usable_detectors
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import DETAILS_MAX, DetailFix

__all__ = ["AREAS", "BACK", "STEP", "Form", "Step", "UnitList", "number_of", "unit_page", "units_page"]

BLUE = 0x5865F2
BACK = 9
STEP = 10
"""A unit's number times this, and what is done with it, is the number in an address."""
AREAS = ("masked", "whole")
NAME_CHARS = 100
"""Of an option's value; a detector with a longer name is chosen by /detail-fix alone."""
LINE_CHARS = 700
NOTES_CHARS = 900


class UnitList(IntEnum):
    """Lists of a unit's page; never reused."""

    MODEL = 1
    SORT = 2
    MERGE = 3
    AREA = 4


class Form(IntEnum):
    """Forms of a unit; never reused."""

    WORDS = 1
    FINDING = 2
    MASK = 3
    DRAWING = 4


class Step(IntEnum):
    """What else a button of a unit does; never reused."""

    EARLIER = 1
    REMOVE = 2


def number_of(unit: int, what: int) -> int:
    return unit * STEP + what


def units_page(
    draft: Draft, texts: Texts, facts: Sequence[ModelFact], notes: Sequence[str] = ()
) -> discord.ui.LayoutView:
    units = draft.spec.details
    view, box = _new_card()
    head = f"### {texts('details.title', n=len(units), most=DETAILS_MAX)}\n{texts('details.how')}"
    box.add_item(discord.ui.TextDisplay(_with_notes(head, notes)))
    for at, unit in enumerate(units):
        box.add_item(discord.ui.TextDisplay(f"**{at + 1}.** {neutral(unit_line(unit), LINE_CHARS)}"))
    rows = _models(facts, texts)
    if rows and len(units) < DETAILS_MAX:
        n = number_of(len(units), UnitList.MODEL)
        box.add_item(select_row(Verb.DETAILS_PICK, draft.id, texts("details.add"), rows, n=n))
    elif not rows:
        box.add_item(discord.ui.TextDisplay(texts("error.detector_none", install="detectors")))
    pages = [
        button(Verb.DETAILS, draft.id, texts("details.unit", n=at + 1), n=at, emoji="✏️") for at in range(len(units))
    ]
    if pages:
        box.add_item(_row(pages))
    ends = [button(Verb.DETAILS, draft.id, texts("details.panel"), n=BACK, emoji="↩️")]
    if units:
        ends.append(button(Verb.DRAW, draft.id, texts("advanced.draw"), emoji="🎨", style=discord.ButtonStyle.primary))
    box.add_item(_row(ends))
    view.add_item(box)
    return view


def unit_page(
    draft: Draft, at: int, texts: Texts, facts: Sequence[ModelFact], notes: Sequence[str] = ()
) -> discord.ui.LayoutView:
    unit = draft.spec.details[at]
    view, box = _new_card()
    head = f"### {texts('details.unit', n=at + 1)}\n{neutral(unit_line(unit), LINE_CHARS)}"
    box.add_item(discord.ui.TextDisplay(_with_notes(head, notes)))
    for which, placeholder, rows, current in _lists(unit, facts, texts):
        if rows:
            box.add_item(select_row(Verb.DETAILS_PICK, draft.id, placeholder, rows, current, n=number_of(at, which)))
    forms = [
        button(Verb.DETAILS_OPEN, draft.id, texts(f"details.form.{form.name.lower()}"), n=number_of(at, form))
        for form in Form
    ]
    box.add_item(_row(forms))
    steps: list[AddressButton] = []
    if at:
        steps.append(
            button(Verb.DETAILS_DO, draft.id, texts("details.earlier"), n=number_of(at, Step.EARLIER), emoji="⬆️")
        )
    steps += [
        button(
            Verb.DETAILS_DO, draft.id, texts("details.remove"), n=number_of(at, Step.REMOVE), emoji="🗑️",
            style=discord.ButtonStyle.danger,
        ),
        button(Verb.DETAILS, draft.id, texts("details.units"), emoji="↩️"),
    ]  # fmt: skip
    box.add_item(_row(steps))
    view.add_item(box)
    return view


def _lists(unit: DetailFix, facts: Sequence[ModelFact], texts: Texts) -> list[tuple[UnitList, str, list[Row], str]]:
    area = AREAS[0] if unit.only_masked else AREAS[1]
    sorts: list[Row] = [(name, texts(f"details.sort_{at}"), "") for at, name in enumerate(SORTS)]
    merges: list[Row] = [(name, texts(f"details.merge_{at}"), "") for at, name in enumerate(MERGES)]
    areas: list[Row] = [(name, texts(f"details.area_{name}"), texts(f"details.area_{name}_hint")) for name in AREAS]
    return [
        (UnitList.MODEL, texts("details.model"), _models(facts, texts, unit.model), unit.model),
        (UnitList.SORT, texts("details.sort"), sorts, unit.sort),
        (UnitList.MERGE, texts("details.merge"), merges, unit.merge),
        (UnitList.AREA, texts("details.area"), areas, area),
    ]


def _models(facts: Sequence[ModelFact], texts: Texts, current: str | None = None) -> list[Row]:
    names = [name for name in usable_detectors(facts) if len(name) <= NAME_CHARS]
    names = [*dict.fromkeys(([current] if current is not None and len(current) <= NAME_CHARS else []) + names)]
    return [(name, name, texts("details.built_in") if name == FACES else "") for name in names]


def _with_notes(head: str, notes: Sequence[str]) -> str:
    return "\n".join([head, *(f"-# {note}" for note in notes)])[: NOTES_CHARS + LINE_CHARS]


def _new_card() -> tuple[discord.ui.LayoutView, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per panel: its parts are found by their addresses.
    view.stop()
    return view, discord.ui.Container(accent_colour=BLUE)


def _row(buttons: Sequence[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
