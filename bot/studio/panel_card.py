"""How the panel looks: what the draft is, what is different, its lists, its forms, and "Draw".

Within Discord's limits: 40 components, 4000 characters, at most four buttons a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.changed import changed_line
from bot.domain.changes import sampler_label
from bot.domain.control.units import unit_line
from bot.domain.detail_fixes import unit_line as fix_line
from bot.domain.fields import line_of
from bot.domain.layouts.parts import Arrangement
from bot.domain.mentions import neutral
from bot.domain.parameters import Parameters
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.studio.advanced import GROUPS, groups_for
from bot.studio.forms import parameters_line
from bot.studio.layouts.cards import Step, regions_line
from bot.studio.notes import joined
from bot.studio.panel_lists import PanelList
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import select_row

__all__ = ["panel"]

PROMPT_CHARS = 300
LINE_CHARS = 800
CHANGES_CHARS = 900
NOTES_CHARS = 800
"""All texts of a message together may have 4000."""
UNIT_CHARS = 200
LABEL_CHARS = 80
IN_A_ROW = 4
_FIRST = ("texts", "numbers", "loras", "source")
"""What people change most."""


def panel(
    draft: Draft,
    texts: Texts,
    notes: Sequence[str] = (),
    *,
    lists: Sequence[PanelList] = (),
    last: Parameters | None = None,
    private: bool = False,
) -> discord.ui.LayoutView:
    """`last` is what "as last time" would change; None or empty shows no such button. `private` is whether "Draw" is
    for its user's eyes alone; the other way has a button of its own."""
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per panel: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=0x5865F2)
    box.add_item(discord.ui.TextDisplay(_head(draft, texts, notes)))
    for shown in lists:
        box.add_item(
            select_row(
                Verb.PICK, draft.id, shown.placeholder, shown.rows, shown.current, n=shown.which,
                at_most=shown.at_most,
            )
        )  # fmt: skip
    numbers = sorted(groups_for(draft.spec), key=lambda n: GROUPS[n].key not in _FIRST)
    forms = [button(Verb.ADVANCED, draft.id, texts(f"advanced.{GROUPS[n].key}"), n=n) for n in numbers]
    units = len(draft.spec.control)
    label = texts("control.button_some", n=units) if units else texts("control.button")
    forms.append(button(Verb.CONTROL, draft.id, label, emoji="🕹️"))
    forms.append(button(Verb.LAYOUT, draft.id, texts("regions.button"), n=Step.OPEN, emoji="🔳"))
    fixes = len(draft.spec.details)
    label = texts("details.button_some", n=fixes) if fixes else texts("details.button")
    forms.append(button(Verb.DETAILS, draft.id, label, emoji="🙂"))
    for start in range(0, len(forms), IN_A_ROW):
        box.add_item(_row(forms[start : start + IN_A_ROW]))
    box.add_item(_row(_ends(draft, texts, last, private=private)))
    view.add_item(box)
    return view


def _head(draft: Draft, texts: Texts, notes: Sequence[str]) -> str:
    line = neutral(f"{sampler_label(draft.spec)}, {parameters_line(draft.spec)}", LINE_CHARS)
    changed = changed_line(draft.base, draft.spec, texts, CHANGES_CHARS) if draft.base is not None else ""
    title = texts("tweak.title" if draft.parent_id is not None else "advanced.title")
    lines = [f"### {title}", f"**{neutral(draft.spec.prompt, PROMPT_CHARS)}**", f"-# {line}"]
    lines += [
        f"-# ControlNet {at}: {neutral(unit_line(unit), UNIT_CHARS)}" for at, unit in enumerate(draft.spec.control)
    ]
    if draft.spec.regions is not None:
        lines.append(f"-# {regions_line(Arrangement.of(draft.spec), texts)}")
    lines += [
        f"-# {texts('details.unit', n=at)}: {neutral(fix_line(unit), UNIT_CHARS)}"
        for at, unit in enumerate(draft.spec.details, 1)
    ]
    if changed or draft.parent_id is not None:
        lines.append(texts("tweak.changed", changes=changed) if changed else texts("tweak.unchanged"))
    return "\n".join([*lines, joined(notes, NOTES_CHARS, "-# ")]).rstrip()


def _ends(draft: Draft, texts: Texts, last: Parameters | None, *, private: bool) -> list[AddressButton]:
    primary, mine, all_ = discord.ButtonStyle.primary, texts("tweak.draw_private"), texts("tweak.draw_public")
    if private:
        draw = button(Verb.DRAW, draft.id, mine, n=1, style=primary, emoji="🔒")
        other = button(Verb.DRAW, draft.id, all_, n=2, emoji="📣")
    else:
        draw = button(Verb.DRAW, draft.id, texts("advanced.draw"), style=primary, emoji="🎨")
        other = button(Verb.DRAW, draft.id, mine, n=1, emoji="🔒")
    found = [draw, other]
    if draft.base is not None and draft.base != draft.spec:
        found.append(button(Verb.REVISE, draft.id, texts("tweak.reset"), n=1, emoji="↩️"))
    said = _said(last) if last is not None else ""
    if said:
        label = texts("tweak.last", changes=said)
        label = label if len(label) <= LABEL_CHARS else label[: LABEL_CHARS - 1] + "…"
        found.append(button(Verb.REVISE, draft.id, label, n=2, emoji="🕘"))
    return found


def _said(wishes: Parameters) -> str:
    return ", ".join(filter(None, (wishes.sampler, line_of(wishes))))


def _row(buttons: Sequence[AddressButton]) -> discord.ui.ActionRow[discord.ui.LayoutView]:
    return discord.ui.ActionRow(*map(in_layout, buttons))
