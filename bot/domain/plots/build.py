"""A plot from what somebody typed: everything checked before it is stored, with a sentence for whatever is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from bot.domain.imagine import draw_seed
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.models import closest
from bot.domain.plots.axes import AXES, find_axis
from bot.domain.plots.axis_type import NOTHING, AxisType
from bot.domain.plots.cells import CellChecks
from bot.domain.plots.checking import PlotContext
from bot.domain.plots.needs import require_needs
from bot.domain.scripts.plot import SEED_AXES, CellError, Plot, PlotAxis
from bot.domain.styles import Style
from bot.domain.templates import to_be_drawn
from bot.errors import UserFacingError
from gpu_worker.language.plots import PlotRecord, Value, ValuesError, ValuesProblem, joined_values
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import JobSpec

__all__ = ["PIXELS_MAX", "AxisWish", "PlotWishes", "build_plot", "letter", "recorded_axes", "style_values"]

PIXELS_MAX = 200_000_000
"""Of all cells, as A1111 has it (`img_max_size_mp`)."""
EVERYTHING = "*"
"""Stands for all the names that an axis may have."""
_TITLE_CHARS = 300
_UNREADABLE: Mapping[ValuesProblem, str] = MappingProxyType(
    {"number": "plot_values_decimal", "many": "plot_values_many", "long": "plot_values_long"}
)


@dataclass(frozen=True)
class AxisWish:
    type: str | None = None
    text: str = ""

    @property
    def given(self) -> bool:
        return bool((self.type or "").strip()) and (self.type or "").strip().casefold() != NOTHING.casefold()


@dataclass(frozen=True)
class PlotWishes:
    axes: tuple[AxisWish, AxisWish, AxisWish]
    vary: tuple[bool, bool, bool] = (False, False, False)
    random_seeds: bool = False
    legend: bool = True
    sub_grids: bool = False
    margin_px: int = 0


def recorded_axes(record: PlotRecord) -> tuple[AxisWish, AxisWish, AxisWish]:
    """Of a pasted infotext; seeds are those that were drawn."""
    x, y, z = (AxisWish(axis.type, axis.fixed or axis.values) if axis else AxisWish() for axis in record.axes)
    return x, y, z


def style_values(wishes: PlotWishes, most: int) -> list[str]:
    """Every value of an axis of styles, whose names somebody else knows: `PlotContext.styles` says what they mean.

    Raises UserFacingError as `build_plot`."""
    found: list[str] = []
    for at, wish in enumerate(wishes.axes):
        axis = find_axis(wish.type or "")
        if axis is not None and axis.name == "Styles":
            found += [str(value) for value in _read(at, axis, wish.text, most)]
    return found


def build_plot(
    base: JobSpec,
    wishes: PlotWishes,
    *,
    facts: Sequence[ModelFact],
    limits: Limits,
    rng: Random,
    styles: Mapping[str, Sequence[Style]] = MappingProxyType({}),
) -> Plot:
    """The plot, complete: names resolved, seeds drawn, every cell known to be drawable.

    Raises UserFacingError: `plot_no_axis`, `plot_axis_unknown`, `plot_axis_missing`, `plot_axis_twice`, those of
    `require_needs`, `plot_values_…`, `plot_value` (what is wrong with one), `plot_cells`, `plot_pixels`, `plot_search`,
    `plot_search_empty`, `plot_order`, `plot_text_long`, `plot_cell` (what is wrong with one).
    """
    base = base.model_copy(update={"count": 1, "batch_size": 0, "texts": (), "template": None})
    context = PlotContext(facts, limits, base, styles)
    types = [_type(at, wish) for at, wish in enumerate(wishes.axes)]
    if not any(wish.given for wish in wishes.axes):
        raise UserFacingError("plot_no_axis")
    _require_different(types)
    for at, axis in enumerate(types):
        require_needs(axis, base, [axis.name for axis in types], letter(at))
    read = [
        _read(at, axis, _typed(axis, wish.text, context), limits.max_script_cells)
        for at, (axis, wish) in enumerate(zip(types, wishes.axes, strict=True))
    ]
    count = math.prod(map(len, read))
    if count > limits.max_script_cells:
        raise UserFacingError(
            "plot_cells",
            count=count,
            sizes=" × ".join(str(len(values)) for values in read),
            limit=limits.max_script_cells,
        )
    x, y, z = (
        _axis(at, axis, _typed(axis, wish.text, context), values, context, wishes, rng)
        for at, (axis, wish, values) in enumerate(zip(types, wishes.axes, read, strict=True))
    )
    plot = Plot(
        base=base, x=x, y=y, z=z, vary_x=wishes.vary[0], vary_y=wishes.vary[1], vary_z=wishes.vary[2],
        random_seeds=wishes.random_seeds, drawn_from=rng.getrandbits(63), legend=wishes.legend,
        sub_grids=wishes.sub_grids, margin_px=wishes.margin_px,
    )  # fmt: skip
    _check_cells(plot, types, context)
    return plot


def letter(at: int) -> str:
    return "XYZ"[at]


def _type(at: int, wish: AxisWish) -> AxisType:
    if not wish.given:
        if wish.text.strip():
            raise UserFacingError("plot_axis_missing", axis=letter(at))
        return AXES[NOTHING.casefold()]
    found = find_axis(wish.type or "")
    if found is None:
        names = [axis.name for axis in AXES.values()]
        near = ", ".join(closest(wish.type or "", names))
        raise UserFacingError("plot_axis_unknown", axis=letter(at), name=spoken(wish.type or ""), closest=near)
    return found


def _require_different(types: Sequence[AxisType]) -> None:
    for at, axis in enumerate(types):
        if axis.name != NOTHING and not axis.adds and axis in types[:at]:
            raise UserFacingError(
                "plot_axis_twice", name=axis.name, first=letter([*types].index(axis)), second=letter(at)
            )


def _typed(axis: AxisType, text: str, context: PlotContext) -> str:
    """`*` written out."""
    return joined_values(axis.choices(context)) if axis.choices is not None and text.strip() == EVERYTHING else text


def _read(at: int, axis: AxisType, text: str, most: int) -> list[Value]:
    where = f"{letter(at)}, {axis.name}"
    try:
        values = axis.read(text, most)
    except ValuesError as error:
        key = "plot_values_orders" if axis.kind == "order" and error.problem == "many" else _UNREADABLE[error.problem]
        if error.problem == "number" and axis.kind == "whole":
            key = "plot_values_whole"
        parts = next(n for n in range(1, most + 2) if math.factorial(n + 1) > most)
        raise UserFacingError(key, axis=where, value=spoken(error.text), limit=most, parts=parts) from error
    if not values or (axis.kind == "order" and not any(any(part) for part in values if isinstance(part, tuple))):
        raise UserFacingError("plot_values_empty", axis=where)
    if axis.adds and axis.name == "Prompt S/R" and not values[0]:
        raise UserFacingError("plot_search_empty", axis=where)
    if not axis.empty and any(value == "" or (isinstance(value, tuple) and "" in value) for value in values):
        raise UserFacingError("plot_value_empty", axis=where)
    return values


def _axis(
    at: int, axis: AxisType, text: str, read: Sequence[Value], context: PlotContext, wishes: PlotWishes, rng: Random
) -> PlotAxis:
    fixed = axis.name in SEED_AXES and not wishes.random_seeds
    if fixed:
        read = [draw_seed(rng) if value == -1 else value for value in read]
    found: list[Value] = []
    for value in read:
        try:
            found.append(axis.check(value, context))
        except UserFacingError as error:
            where = f"{letter(at)}, {spoken(axis.label(value))}"
            raise UserFacingError("plot_value", axis=where, reason=error) from error
    titles = tuple(axis.label(value)[:_TITLE_CHARS] for value in read)
    return PlotAxis(type=axis.name, text=text, values=tuple(found), titles=titles, fixed=fixed)


def _check_cells(plot: Plot, types: Sequence[AxisType], context: PlotContext) -> None:
    checks, pixels = CellChecks(context.facts, context.limits), 0
    dynamic = to_be_drawn(plot.base)
    try:
        for cell in plot.cells():
            pixels += cell.spec.width * cell.spec.height
            try:
                checks.check(cell.spec)
                if not dynamic and to_be_drawn(cell.spec):
                    raise UserFacingError("plot_dynamic")
            except UserFacingError as error:
                named = spoken(cell.note or "") or f"{cell.index + 1} / {plot.size}"
                raise UserFacingError("plot_cell", cell=named, reason=error) from error
    except CellError as error:
        where = f"{letter(error.axis)}, {types[error.axis].name}"
        raise _of_text(where, types[error.axis], error, context.limits) from error
    if pixels >= PIXELS_MAX:
        raise UserFacingError("plot_pixels", size=round(pixels / 1e6), limit=PIXELS_MAX // 1_000_000)


def _of_text(where: str, axis: AxisType, error: CellError, limits: Limits) -> UserFacingError:
    if isinstance(error.__cause__, LookupError):
        missing = spoken(str(error.__cause__.args[0]))
        return UserFacingError("plot_order" if axis.kind == "order" else "plot_search", axis=where, value=missing)
    return UserFacingError("plot_text_long", axis=where, limit=limits.max_expanded_chars)
