"""One control unit: made of what was asked, changed by what was chosen, and said in a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from bot.domain.control.kinds import (
    KINDS,
    MAP,
    Kind,
    is_ready,
    kind_named,
    kind_of_model,
    kind_of_preprocessor,
    usual_preprocessor,
)
from bot.domain.control.models import control_models, find_control, fits_kind, model_for
from bot.domain.mapping import choose_preprocessor
from bot.domain.mentions import spoken
from bot.domain.values import decimal, plain
from bot.errors import UserFacingError
from gpu_worker.language.preprocessors import Slider, find_preprocessor
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlMode, ControlResize, ControlType, ControlUnit, ImageRef

__all__ = [
    "MODES", "PASSES", "RESIZES", "TYPES", "UnitWish", "kind_of", "make_unit", "read_number", "sliders",
    "unit_label", "unit_line", "with_kind", "with_preprocessor",
]  # fmt: skip

MODES: tuple[str, ...] = get_args(ControlMode)
RESIZES: tuple[str, ...] = get_args(ControlResize)
TYPES: tuple[str, ...] = get_args(ControlType)
_USUAL_PX: int = ControlUnit.model_fields["processor_resolution"].default
PASSES: tuple[str, ...] = get_args(ControlUnit.model_fields["hires"].annotation)


@dataclass(frozen=True, slots=True)
class UnitWish:
    """What a command says of one; None leaves it to the type, the model, or A1111's default."""

    kind: str | None = None
    preprocessor: str | None = None
    model: str | None = None
    weight: float | None = None
    start: float | None = None
    end: float | None = None
    mode: str | None = None
    pixel_perfect: bool | None = None


def make_unit(
    wish: UnitWish,
    image: ImageRef | None,
    checkpoint: ModelFact | None,
    facts: Sequence[ModelFact],
    base: ControlUnit | None = None,
) -> ControlUnit:
    """Over `base`, which a pasted text may bring, in whatever the wish names. For checkpoints that draw smaller than
    A1111's resolution for preprocessors the resolution is reckoned (`pixel_perfect`) unless the wish says otherwise.

    Raises UserFacingError: those of `find_control`, `model_for` and `choose_preprocessor`, `control_type_unknown`,
    `control_order`.
    """
    if base is not None and not (wish.kind or wish.preprocessor or wish.model):
        preprocessor, model = base.preprocessor, base.model
    else:
        preprocessor, model = _pair(wish, checkpoint, facts)
        base = base.model_copy(update={"threshold_a": None, "threshold_b": None}) if base is not None else None
    choose_preprocessor(preprocessor, facts)
    given: dict[str, Any] = {
        name: value
        for name in ("weight", "start", "end", "mode", "pixel_perfect")
        if (value := getattr(wish, name)) is not None
    }
    if base is None and checkpoint is not None and (checkpoint.native_px or _USUAL_PX) < _USUAL_PX:
        # A map of several times the drawing's size shows next to nothing of a small picture.
        given.setdefault("pixel_perfect", True)
    old = base.model_dump() if base is not None else {}
    chosen = {"model": model, "preprocessor": preprocessor, "image": image}
    unit = ControlUnit.model_validate(old | given | chosen)
    if unit.start > unit.end:
        raise UserFacingError("control_order", start=f"{unit.start:g}", end=f"{unit.end:g}")
    return unit


def with_kind(unit: ControlUnit, kind: Kind, checkpoint: ModelFact | None, facts: Sequence[ModelFact]) -> ControlUnit:
    """Its preprocessor and its model are those of the type. Raises UserFacingError as `model_for`."""
    preprocessor = usual_preprocessor(kind, facts)
    now = next((fact for fact in control_models(checkpoint, facts) if fact.name == unit.model), None)
    kept = now is not None and fits_kind(now, kind)
    model = unit.model if kept else model_for(kind, checkpoint, facts, preprocessor)
    return with_preprocessor(unit, preprocessor).model_copy(update={"model": model, "control_type": None})


def with_preprocessor(unit: ControlUnit, name: str) -> ControlUnit:
    """With its own numbers: those of the one before mean something else. Raises UserFacingError
    (`preprocessor_unknown`)."""
    name = choose_preprocessor(name, ()).name
    if name == unit.preprocessor:
        return unit
    return unit.model_copy(update={"preprocessor": name, "threshold_a": None, "threshold_b": None})


def kind_of(unit: ControlUnit) -> Kind | None:
    """By its preprocessor, else by its model."""
    return kind_of_preprocessor(unit.preprocessor) or kind_of_model(unit.model)


def sliders(unit: ControlUnit) -> list[tuple[str, Slider]]:
    """The numbers of its preprocessor, by the unit's field."""
    entry = find_preprocessor(unit.preprocessor)
    pairs = (("threshold_a", entry.a), ("threshold_b", entry.b)) if entry is not None else ()
    return [(name, slider) for name, slider in pairs if slider is not None]


def read_number(label: str, typed: str, low: float, high: float) -> float | None:
    """None where nothing is typed. Raises UserFacingError (`control_number`)."""
    if not typed.strip():
        return None
    try:
        value = decimal(typed.strip())
    except ValueError:
        value = high + 1
    if not low <= value <= high:
        raise UserFacingError("control_number", name=label, wish=spoken(typed), low=f"{low:g}", high=f"{high:g}")
    return value


def unit_label(unit: ControlUnit) -> str:
    """Short: what it looks with, or what it follows ready-made maps with; its weight where that is not 1."""
    name = unit.preprocessor if unit.preprocessor != MAP else unit.model
    return name if unit.weight == 1 else f"{name} {plain(unit.weight)}"


def unit_line(unit: ControlUnit) -> str:
    """By A1111's names; defaults are left out."""
    parts = [unit.preprocessor, unit.model, f"Weight {plain(unit.weight)}"]
    if (unit.start, unit.end) != (0, 1):
        parts.append(f"{plain(unit.start)}–{plain(unit.end)}")
    parts += [
        str(value)
        for name in ("mode", "resize_mode", "hires", "control_type")
        if (value := getattr(unit, name)) != ControlUnit.model_fields[name].default
    ]
    if unit.pixel_perfect:
        parts.append("Pixel Perfect")
    elif unit.processor_resolution != ControlUnit.model_fields["processor_resolution"].default:
        parts.append(f"Resolution {unit.processor_resolution}")
    parts += [
        f"{slider.label} {plain(value)}" for name, slider in sliders(unit) if (value := getattr(unit, name)) is not None
    ]
    if unit.low_memory:
        parts.append("Low VRAM")
    return " · ".join(parts)


def _pair(wish: UnitWish, checkpoint: ModelFact | None, facts: Sequence[ModelFact]) -> tuple[str, str]:
    """Preprocessor and model."""
    kind = None
    if wish.kind is not None:
        kind = kind_named(wish.kind)
        if kind is None:
            raise UserFacingError(
                "control_type_unknown", name=spoken(wish.kind), types=", ".join(each.name for each in KINDS)
            )
    model = find_control(wish.model, checkpoint, facts).name if wish.model else None
    if wish.preprocessor is not None:
        preprocessor = choose_preprocessor(wish.preprocessor, ()).name
        kind = kind or kind_of_preprocessor(preprocessor)
        return preprocessor, model or model_for(kind, checkpoint, facts, preprocessor)
    if kind is None and model is not None:
        kind = kind_of_model(model)
        if kind is None and not any(fact.name == model and fact.variant == "control_union" for fact in facts):
            return MAP, model
    if kind is None:
        if not control_models(checkpoint, facts):
            model_for(None, checkpoint, facts)  # says what is missing
        kind = _first(checkpoint, facts, model)
    preprocessor = usual_preprocessor(kind, facts)
    return preprocessor, model or model_for(kind, checkpoint, facts, preprocessor)


def _first(checkpoint: ModelFact | None, facts: Sequence[ModelFact], model: str | None) -> Kind:
    """The most used type that has a model here and all files that its preprocessor looks with."""
    there = [fact for fact in control_models(checkpoint, facts) if model in (None, fact.name)]
    for complete in (True, False):
        for kind in KINDS:
            ready = is_ready(usual_preprocessor(kind, facts), facts)
            if (ready or not complete) and any(fits_kind(fact, kind) for fact in there):
                return kind
    return KINDS[0]
