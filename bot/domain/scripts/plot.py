"""The X/Y/Z plot: a request drawn with every combination of the values of up to three axes (behaviours §14)."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from bot.domain.plots.applying import Given
from bot.domain.plots.axes import find_axis
from bot.domain.plots.axis_type import NOTHING, AxisType
from bot.domain.scripts.base import Cell, Expanded, GridLayout, Script, Title, TitlePart
from gpu_worker.language.plots import AxisRecord, Value, ValuesError, cell_index, drawing_order, record_fields
from gpu_worker.protocol.specs import SEED_MAX, JobSpec, Wire

__all__ = ["AXIS_LETTERS", "SEED_AXES", "CellError", "Plot", "PlotAxis"]

AXIS_LETTERS = ("x", "y", "z")
SEED_AXES = frozenset({"Seed", "Var. seed"})
_SEEDS = 4294967294
"""A1111 draws a seed below this."""
_NOTE_CHARS = 100


class CellError(Exception):
    """An axis cannot be applied: a text lacks what it looks for (the cause is a LookupError), or would be too long."""

    def __init__(self, axis: int, title: str) -> None:
        super().__init__(axis, title)
        self.axis = axis
        self.title = title


class PlotAxis(Wire):
    """One axis, with everything that names decided resolved: what its values do needs no list of models."""

    type: str
    """A1111's name of it (bot/domain/plots/axes.py)."""
    text: str = ""
    """The values as they were typed: what an infotext says."""
    values: tuple[Value, ...] = Field(min_length=1)
    """As they are applied. Of seeds -1 draws one for each cell."""
    titles: tuple[str, ...]
    fixed: bool = False
    """Seeds were drawn for -1, so that an infotext says them."""


class Plot(Script):
    kind: Literal["plot"] = "plot"
    x: PlotAxis
    y: PlotAxis
    z: PlotAxis
    vary_x: bool = False
    vary_y: bool = False
    vary_z: bool = False
    """Each step along that axis counts the seed up (behaviours §14.5)."""
    random_seeds: bool = False
    """A1111's "Keep -1 for seeds": every cell draws its own seed, unless an axis gives it one."""
    drawn_from: int = Field(default=0, ge=0, le=SEED_MAX)
    """What the seeds of single cells, and the variation seed of pictures that had none, are drawn from."""
    legend: bool = True
    sub_grids: bool = False
    margin_px: int = Field(default=0, ge=0, le=500)

    @property
    def axes(self) -> tuple[PlotAxis, PlotAxis, PlotAxis]:
        return self.x, self.y, self.z

    @property
    def sizes(self) -> tuple[int, int, int]:
        return len(self.x.values), len(self.y.values), len(self.z.values)

    @property
    def size(self) -> int:
        return math.prod(self.sizes)

    def expanded(self) -> Expanded:
        """Raises CellError; not for a plot that bot/domain/plots/build.py made."""
        return Expanded(tuple(self.cells()))

    def cells(self) -> Iterator[Cell]:
        """As `expanded`, one after the other."""
        types = [_type(axis) for axis in self.axes]
        order = sorted(range(3), key=lambda at: types[at].rank)
        for place in drawing_order(self.sizes, [axis.cost for axis in types]):
            index = cell_index(place, self.sizes)
            spec = self._seeded(index)
            for at in order:
                axis = self.axes[at]
                value = axis.values[place[at]]
                if axis.type in SEED_AXES and value == -1:
                    value = self._drawn(f"{axis.type} {index}")
                try:
                    spec = types[at].apply(spec, value, Given(axis.values, self._drawn("Var. seed")))
                except (LookupError, ValuesError) as error:
                    raise CellError(at, axis.titles[place[at]]) from error
            yield Cell(index, self._varied(spec, place), self._note(place))

    def _seeded(self, index: int) -> JobSpec:
        own = self.random_seeds and not any(axis.type == "Seed" for axis in self.axes)
        return self.base.model_copy(update={"seed": self._drawn(f"Seed {index}")}) if own else self.base

    def _varied(self, spec: JobSpec, place: Sequence[int]) -> JobSpec:
        columns, rows = self.sizes[0] if self.vary_x else 1, self.sizes[1] if self.vary_y else 1
        steps = (self.vary_x * 1, self.vary_y * columns, self.vary_z * columns * rows)
        further = sum(at * step for at, step in zip(place, steps, strict=True))
        return spec.model_copy(update={"seed": min(spec.seed + further, SEED_MAX)}) if further else spec

    def _drawn(self, what: str) -> int:
        """A seed as A1111 draws one, the same for the same plot."""
        digest = hashlib.sha256(f"{self.drawn_from} {what}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % _SEEDS

    def _note(self, place: Sequence[int]) -> str | None:
        titles = [axis.titles[at] for axis, at in zip(self.axes, place, strict=True) if axis.titles[at]]
        return ", ".join(titles)[:_NOTE_CHARS] or None

    def layout(self) -> GridLayout:
        columns, rows, pages = (_titles(axis) for axis in self.axes)
        return GridLayout(
            *self.sizes, columns, rows, pages, legend=self.legend, margin_px=self.margin_px, sub_grids=self.sub_grids
        )

    def reseeded(self, seed: int) -> Plot:
        drawn: dict[str, object] = {"drawn_from": seed}
        for letter, axis in zip(AXIS_LETTERS, self.axes, strict=True):
            drawn[letter] = _reseeded(axis, random.Random(f"{seed} {letter}"))
        if "Var. seed" in (axis.type for axis in self.axes):  # which is about the variation that the base has
            drawn["base"] = self.base.model_copy(update={"seed": seed})
        return super().reseeded(seed).model_copy(update=drawn)

    def fields(self, page: int | None) -> Mapping[str, str]:
        records = [_record(axis) for axis in self.axes]
        return record_fields(records if page is None else records[:2])


def _type(axis: PlotAxis) -> AxisType:
    found = find_axis(axis.type)
    if found is None:
        raise LookupError(axis.type)
    return found


def _reseeded(axis: PlotAxis, rng: random.Random) -> PlotAxis:
    """With other seeds where -1 was typed."""
    if not axis.fixed:
        return axis
    typed = _type(axis).read(axis.text, len(axis.values))
    values = tuple(rng.randrange(_SEEDS) if value == -1 else value for value in typed)
    return axis.model_copy(update={"values": values, "titles": tuple(map(_type(axis).label, values))})


def _titles(axis: PlotAxis) -> tuple[Title, ...]:
    """None at all where nothing would be written."""
    return tuple((TitlePart(title),) for title in axis.titles) if any(axis.titles) else ()


def _record(axis: PlotAxis) -> AxisRecord | None:
    if axis.type == NOTHING:
        return None
    fixed = ", ".join(map(str, axis.values)) if axis.fixed else None
    return AxisRecord(axis.type, axis.text, fixed)
