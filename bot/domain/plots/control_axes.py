"""Axes of control units, by the names that the ControlNet extension gives them; each of the four units has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annotated_types import Ge, Le

from bot.domain.control.kinds import UNITS_MAX
from bot.domain.control.models import checkpoint_of, control_models, find_control
from bot.domain.control.units import MODES, RESIZES, with_preprocessor
from bot.domain.mapping import choose_preprocessor
from bot.domain.plots.applying import Apply, Given
from bot.domain.plots.axis_type import AxisType
from bot.domain.plots.checking import Check, PlotContext, choice
from bot.errors import UserFacingError
from gpu_worker.language.plots import Kind, Value
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE
from gpu_worker.protocol.specs import ControlUnit, JobSpec

__all__ = ["CONTROL_AXES"]

_MODEL_COST = 0.9


def _applies(unit: int, field: str) -> Apply:
    """A request with fewer units stays as it is."""

    def apply(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
        if unit >= len(spec.control):
            return spec
        units = [*spec.control]
        units[unit] = units[unit].model_copy(update={field: value})
        return spec.model_copy(update={"control": tuple(units)})

    return apply


def _applies_preprocessor(unit: int) -> Apply:
    """With numbers of its own."""

    def apply(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
        if unit >= len(spec.control) or spec.control[unit].preprocessor == value:
            return spec
        units = [*spec.control]
        units[unit] = with_preprocessor(units[unit], str(value))
        return spec.model_copy(update={"control": tuple(units)})

    return apply


def _applies_enabled(unit: int) -> Apply:
    def apply(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
        if value == "True" or unit >= len(spec.control):
            return spec
        return spec.model_copy(update={"control": (*spec.control[:unit], *spec.control[unit + 1 :])})

    return apply


def _number(name: str, field: str) -> Check:
    """Raises `parameter_range`."""
    rules = ControlUnit.model_fields[field].metadata
    least = next(float(rule.ge) for rule in rules if isinstance(rule, Ge))  # pyright: ignore[reportArgumentType]
    most = next(float(rule.le) for rule in rules if isinstance(rule, Le))  # pyright: ignore[reportArgumentType]

    def check(value: Value, _context: PlotContext) -> Value:
        assert isinstance(value, int | float)
        if not least <= value <= most:
            raise UserFacingError("parameter_range", name=name, wish=f"{value:g}", least=f"{least:g}", most=f"{most:g}")
        return value

    return check


def _model(value: Value, context: PlotContext) -> Value:
    """Raises as `find_control`; whether it fits is asked of each cell, which may have another checkpoint."""
    return find_control(str(value), None, context.facts).name


def _preprocessor(value: Value, context: PlotContext) -> Value:
    """Raises as `choose_preprocessor`."""
    return choose_preprocessor(str(value), context.facts).name


def _models(context: PlotContext) -> Sequence[str]:
    base = checkpoint_of(context.base, context.facts) if context.base is not None else None
    return [fact.name for fact in control_models(base, context.facts)]


def _preprocessors(_context: PlotContext) -> Sequence[str]:
    return [entry.name for entry in PREPROCESSOR_TABLE]


def _of(unit: int) -> list[AxisType]:
    prefix = "[ControlNet]" if unit == 0 else f"[ControlNet {unit + 1}]"

    def axis(
        name: str,
        kind: Kind,
        field: str,
        check: Check | None = None,
        choices: Callable[[PlotContext], Sequence[str]] | None = None,
        cost: float = 0.0,
    ) -> AxisType:
        return AxisType(
            f"{prefix} {name}", kind, _applies(unit, field), check or _number(name, field), needs="control", unit=unit,
            choices=choices, cost=cost,
        )  # fmt: skip

    return [
        AxisType(f"{prefix} Enabled", "text", _applies_enabled(unit), choice("True", "False"), needs="control",
                 unit=unit, rank=3 + UNITS_MAX - unit, choices=lambda _context: ("True", "False"), cost=_MODEL_COST),
        axis("Model", "text", "model", _model, _models, _MODEL_COST),
        axis("Weight", "decimal", "weight"),
        axis("Guidance Start", "decimal", "start"),
        axis("Guidance End", "decimal", "end"),
        axis("Control Mode", "text", "mode", choice(*MODES), lambda _context: MODES),
        axis("Resize Mode", "text", "resize_mode", choice(*RESIZES), lambda _context: RESIZES),
        AxisType(f"{prefix} Preprocessor", "text", _applies_preprocessor(unit), _preprocessor, needs="control",
                 unit=unit, rank=0, choices=_preprocessors),
        axis("Pre Resolution", "whole", "processor_resolution"),
        axis("Pre Threshold A", "decimal", "threshold_a"),
        axis("Pre Threshold B", "decimal", "threshold_b"),
    ]  # fmt: skip


CONTROL_AXES: tuple[AxisType, ...] = tuple(axis for unit in range(UNITS_MAX) for axis in _of(unit))
