"""The control desk: a request's units in a list, and each on a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import discord

from bot.domain.control.kinds import KINDS, UNITS_MAX, kind_of_model, kind_of_preprocessor, preprocessors_of
from bot.domain.control.models import checkpoint_of, control_models, fits_kind, is_union
from bot.domain.control.units import MODES, TYPES, kind_of, unit_line
from bot.domain.mapping import missing_annotators
from bot.domain.mentions import neutral
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.model_names import ModelNames
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.forms import OPTIONS_LIMIT
from bot.ui.selects import Row, select_row
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, Img2Img

__all__ = [
    "AUTO", "BACK", "SEARCH", "STEP", "Form", "Shown", "Step", "UnitList", "number_of", "thumbnail_name", "unit_page",
    "units_page",
]  # fmt: skip

BLUE = 0x5865F2
BACK = 9
STEP = 10
"""A unit's number times this, and what is done with it, is the number in an address."""
AUTO = "-"
SEARCH = "?"
"""The row that opens the form to search with; nothing has this name."""
NOTES_CHARS = 900
LINE_CHARS = 400


class UnitList(IntEnum):
    """Lists of a unit's page; never reused."""

    KIND = 1
    PREPROCESSOR = 2
    MODEL = 3
    MODE = 4
    TYPE = 5


class Form(IntEnum):
    """Forms of a unit; never reused."""

    PICTURES = 1
    NUMBERS = 2
    SIZES = 3
    MODEL = 4
    PREPROCESSOR = 5
    """The last two search what a list has no room for."""


class Step(IntEnum):
    """What else a button of a unit does; never reused."""

    EARLIER = 1
    REMOVE = 2
    MAP = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """What the desk knows beside the draft; `small` are the units whose picture is shown."""

    texts: Texts
    facts: Sequence[ModelFact]
    names: ModelNames
    small: Mapping[int, bytes]


def number_of(unit: int, what: int) -> int:
    return unit * STEP + what


def thumbnail_name(unit: int) -> str:
    return f"unit{unit}.jpg"


def units_page(draft: Draft, shown: Shown, notes: Sequence[str] = ()) -> discord.ui.LayoutView:
    texts, units = shown.texts, draft.spec.control
    view, box = _new_card()
    head = f"### {texts('control.title', n=len(units), most=UNITS_MAX)}\n{texts('control.how')}"
    box.add_item(discord.ui.TextDisplay(_with_notes(head, notes)))
    for at, unit in enumerate(units):
        box.add_item(_unit_text(draft, at, unit, shown))
    pages = [button(Verb.CONTROL, draft.id, texts("control.unit", n=at), n=at, emoji="✏️") for at in range(len(units))]
    if pages:
        box.add_item(_row(pages))
    ends = [button(Verb.CONTROL, draft.id, texts("control.panel"), n=BACK, emoji="↩️")]
    if len(units) < UNITS_MAX:
        n = number_of(len(units), Form.PICTURES)
        style = discord.ButtonStyle.secondary if units else discord.ButtonStyle.primary
        ends.insert(0, button(Verb.CONTROL_OPEN, draft.id, texts("control.add"), n=n, emoji="➕", style=style))
    if units:
        ends.append(button(Verb.DRAW, draft.id, texts("advanced.draw"), emoji="🎨", style=discord.ButtonStyle.primary))
    box.add_item(_row(ends))
    view.add_item(box)
    return view


def unit_page(draft: Draft, at: int, shown: Shown, notes: Sequence[str] = ()) -> discord.ui.LayoutView:
    texts, unit = shown.texts, draft.spec.control[at]
    view, box = _new_card()
    box.add_item(_unit_text(draft, at, unit, shown, head=True))
    if notes:
        box.add_item(discord.ui.TextDisplay(_with_notes("", notes)))
    for which, placeholder, rows, current in _lists(draft, unit, shown):
        if rows:
            # What is chosen says what it is: a list with a choice does not show its placeholder.
            rows = [(value, placeholder if value == current else label, hint) for value, label, hint in rows]
            box.add_item(select_row(Verb.CONTROL_PICK, draft.id, placeholder, rows, current, n=number_of(at, which)))
    forms = [
        button(Verb.CONTROL_OPEN, draft.id, texts(f"control.form.{form.name.lower()}"), n=number_of(at, form))
        for form in (Form.NUMBERS, Form.SIZES, Form.PICTURES)
    ]
    box.add_item(_row(forms))
    steps: list[AddressButton] = []
    if unit.image is not None or isinstance(draft.spec, Img2Img):
        steps.append(button(Verb.CONTROL_DO, draft.id, texts("control.map"), n=number_of(at, Step.MAP), emoji="🗺️"))
    if at:
        steps.append(
            button(Verb.CONTROL_DO, draft.id, texts("control.earlier"), n=number_of(at, Step.EARLIER), emoji="⬆️")
        )
    steps += [
        button(
            Verb.CONTROL_DO, draft.id, texts("control.remove"), n=number_of(at, Step.REMOVE), emoji="🗑️",
            style=discord.ButtonStyle.danger,
        ),
        button(Verb.CONTROL, draft.id, texts("control.units"), emoji="↩️"),
        button(Verb.DRAW, draft.id, texts("advanced.draw"), emoji="🎨", style=discord.ButtonStyle.primary),
    ]  # fmt: skip
    box.add_item(_row(steps))
    view.add_item(box)
    return view


def _lists(draft: Draft, unit: ControlUnit, shown: Shown) -> list[tuple[UnitList, str, list[Row], str]]:
    texts, kind = shown.texts, kind_of(unit)
    model = shown.names.value("controlnet", unit.model)
    found = [
        (UnitList.KIND, texts("control.kind", name=kind.name if kind else "–"), _kinds(), kind.name if kind else ""),
        (
            UnitList.PREPROCESSOR,
            texts("control.preprocessor", name=unit.preprocessor),
            _preprocessors(unit, shown),
            unit.preprocessor,
        ),
        (UnitList.MODEL, texts("control.model", name=unit.model), _models(draft, unit, shown), model),
        (
            UnitList.MODE,
            texts("control.mode", name=unit.mode),
            [(mode, mode, texts(f"control.mode_{at}")) for at, mode in enumerate(MODES)],
            unit.mode,
        ),
    ]
    if is_union(unit.model, shown.facts):
        rows: list[Row] = [(AUTO, texts("control.type_auto"), ""), *((name, name, "") for name in TYPES)]
        name = unit.control_type or texts("control.type_auto")
        found.append((UnitList.TYPE, texts("control.type", name=name), rows, unit.control_type or AUTO))
    return found


def _kinds() -> list[Row]:
    return [(kind.name, kind.name, "") for kind in KINDS]


def _preprocessors(unit: ControlUnit, shown: Shown) -> list[Row]:
    """Its own first, those of its type, then the others as far as they fit; what is not installed is marked."""
    texts = shown.texts
    entries = [*preprocessors_of(kind_of(unit)), *preprocessors_of(None)]
    names = [*dict.fromkeys((unit.preprocessor, *(entry.name for entry in entries)))]
    rows: list[Row] = []
    for name in names[: OPTIONS_LIMIT - 1]:
        entry = find_preprocessor(name)
        hint = texts("control.ready_map") if name == "none" else (entry.tag if entry and entry.tag != "All" else "")
        if entry is not None and missing_annotators(entry, shown.facts):
            hint = texts("map.not_installed", name=hint)
        rows.append((name, name, hint))
    return [*rows, _search_row(len(names), texts)]


def _models(draft: Draft, unit: ControlUnit, shown: Shown) -> list[Row]:
    """Those that fit the checkpoint, of its type first."""
    kind = kind_of(unit)
    fitting = control_models(checkpoint_of(draft.spec, shown.facts), shown.facts)
    first = [fact.name for fact in fitting if kind is not None and fits_kind(fact, kind)]
    names = [*dict.fromkeys((unit.model, *first, *(fact.name for fact in fitting)))]
    known = {fact.name for fact in fitting}
    rows: list[Row] = []
    for name in names[: OPTIONS_LIMIT - 1]:
        own = kind_of_model(name)
        hint = shown.texts("control.misfit") if name not in known else (own.name if own else "")
        rows.append((shown.names.value("controlnet", name), name, hint))
    return [*rows, _search_row(len(names), shown.texts)]


def _search_row(count: int, texts: Texts) -> Row:
    return SEARCH, f"🔎 {texts('tweak.search')}", texts("control.search_hint", n=count)


def _unit_text(
    draft: Draft, at: int, unit: ControlUnit, shown: Shown, *, head: bool = False
) -> discord.ui.Item[discord.ui.LayoutView]:
    texts = shown.texts
    mark = "### " if head else ""
    name = f"{mark}ControlNet {at}" if head else f"**ControlNet {at}**"
    lines = [name, neutral(unit_line(unit), LINE_CHARS)]
    if unit.image is None:
        of_source = isinstance(draft.spec, Img2Img)
        lines.append(texts("control.follows" if of_source else "control.no_picture"))
    elif at not in shown.small:
        lines.append("-# " + texts("control.unseen"))
    entry = find_preprocessor(unit.preprocessor)
    if entry is not None and missing_annotators(entry, shown.facts):
        lines.append(texts("control.preprocessor_missing"))
    made, follows = kind_of_preprocessor(unit.preprocessor), kind_of_model(unit.model)
    model = next((fact for fact in shown.facts if (fact.kind, fact.name) == ("controlnet", unit.model)), None)
    if made is not None and follows is not None and model is not None and not fits_kind(model, made):
        lines.append(texts("control.other_kind", made=made.name, follows=follows.name))
    if unit.mask is not None:
        lines.append("-# " + texts("control.masked"))
    text: discord.ui.TextDisplay[discord.ui.LayoutView] = discord.ui.TextDisplay("\n".join(lines))
    if at not in shown.small:
        return text
    beside: discord.ui.Thumbnail[discord.ui.LayoutView] = discord.ui.Thumbnail(f"attachment://{thumbnail_name(at)}")
    return discord.ui.Section(text, accessory=beside)


def _with_notes(head: str, notes: Sequence[str]) -> str:
    text = "\n".join([head, *(f"-# {note}" for note in notes)]).strip()
    return text[: NOTES_CHARS + 400]


def _new_card() -> tuple[discord.ui.LayoutView, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per panel: its parts are found by their addresses.
    view.stop()
    return view, discord.ui.Container(accent_colour=BLUE)


def _row(buttons: Sequence[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
