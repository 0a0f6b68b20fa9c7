"""The form that begins a plot with a picture: two axes in fields of their own, the third one in a line."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.domain.plots.axes import AXES, find_axis
from bot.domain.plots.axis_type import NOTHING
from bot.domain.plots.build import AxisWish, PlotWishes
from bot.domain.plots.completing import USUAL
from bot.domain.plots.needs import require_needs
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.ui.codec import Verb, encode
from bot.ui.forms import OPTIONS_LIMIT, form_of, select_field, text_field
from gpu_worker.protocol.specs import JobSpec

__all__ = ["plot_form", "read_form"]

VALUES_CHARS = 2000
_EMPTY = "-"
"""Discord knows no empty value."""


def plot_form(image_id: str, spec: JobSpec, texts: Texts) -> discord.ui.Modal:
    """The lists hold what means something for this picture."""
    form = form_of(texts("plot.form.title"), encode(Verb.PLOT_FORM, image_id))
    names = _possible(spec)
    none = (_EMPTY, texts("plot.form.nothing"))
    for letter, first in (("x", "Steps"), ("y", _EMPTY)):
        rows = [(name, name) for name in names[: OPTIONS_LIMIT - 1]]
        rows = rows if letter == "x" else [none, *rows]
        select_field(form, f"{letter}_type", texts("plot.form.type", axis=letter.upper()), "", rows, first)
        text_field(
            form, f"{letter}_values", texts("plot.form.values", axis=letter.upper()), texts("plot.form.values_hint"),
            "", paragraph=False, required=letter == "x", max_length=VALUES_CHARS,
        )  # fmt: skip
    text_field(form, "z", texts("plot.form.z"), texts("plot.form.z_hint"), "", paragraph=False, max_length=VALUES_CHARS)
    return form


def read_form(fields: Mapping[str, str]) -> PlotWishes:
    """What cannot be read is refused where the plot is built."""
    x, y = (AxisWish(_type(fields.get(f"{axis}_type", "")), fields.get(f"{axis}_values", "")) for axis in "xy")
    name, _, values = fields.get("z", "").partition(":")
    return PlotWishes((x, y, AxisWish(name.strip() or None, values)))


def _type(chosen: str) -> str | None:
    return None if chosen in ("", _EMPTY) else chosen


def _possible(spec: JobSpec) -> list[str]:
    ordered = dict.fromkeys((*USUAL, *(axis.name for axis in AXES.values())))
    found: list[str] = []
    for name in ordered:
        axis = find_axis(name)
        if axis is None or axis.name == NOTHING:
            continue
        try:
            require_needs(axis, spec, (), "")
        except UserFacingError:
            continue
        found.append(name)
    return found
