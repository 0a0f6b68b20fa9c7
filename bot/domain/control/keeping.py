"""Control units of a request that is changed, goes on from a picture, or comes out of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from bot.domain.control.kinds import UNITS_MAX
from bot.domain.control.models import checkpoint_of, control_models, find_control, fits_kind
from bot.domain.control.units import kind_of
from bot.domain.mentions import spoken
from bot.domain.notes import Note, named
from bot.errors import UserFacingError
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, Img2Img, JobSpec, Txt2Img

__all__ = ["NEEDED", "anywhere", "from_text", "known_pictures", "led_by", "own_pictures", "with_the_same_units"]

NEEDED = "control_pictures"
"""The note that a text's units wait for their pictures."""
_RESIZES = {
    "Just resize": "Just Resize", "Crop and resize": "Crop and Resize", "Resize and fill": "Resize and Fill",
    "Just resize (latent upscale)": "Just Resize",
}  # fmt: skip
Spec = TypeVar("Spec", Txt2Img, Img2Img, JobSpec)


def own_pictures(spec: JobSpec) -> tuple[ControlUnit, ...]:
    """Its units, each with the picture that it follows, also where that is the one that the drawing starts from: for a
    drawing that starts from another one, or from none."""
    if not isinstance(spec, Img2Img):
        return spec.control
    found: list[ControlUnit] = []
    for unit in spec.control:
        if unit.image is None:
            inpaints = _tag(unit) == "Inpaint"
            mask = spec.mask.image if unit.mask is None and inpaints and spec.mask is not None else unit.mask
            mode = _RESIZES[spec.resize_mode]
            unit = unit.model_copy(update={"image": spec.image, "mask": mask, "resize_mode": mode})
        found.append(unit)
    return tuple(found)


def anywhere(units: Sequence[ControlUnit]) -> tuple[ControlUnit, ...]:
    """Those that mean something on another canvas, where nothing is in its place any more: what is to be filled in, and
    colours without shapes."""
    return tuple(unit for unit in units if _tag(unit) == "Shuffle" or (unit.image is None and _tag(unit) == "Inpaint"))


def with_the_same_units(spec: JobSpec, base: JobSpec, facts: Sequence[ModelFact]) -> tuple[JobSpec, tuple[Note, ...]]:
    """A request that was changed keeps the units of `base`. Where another checkpoint has another base model, the first
    fitting model of the same type takes over, or the unit goes; both are told."""
    units = base.control
    if isinstance(base, Img2Img) and not isinstance(spec, Img2Img):
        units = own_pictures(base)
    checkpoint = checkpoint_of(spec, facts)
    if base.checkpoint == spec.checkpoint or checkpoint is None:
        return led_by(spec, units), ()
    fitting = control_models(checkpoint, facts)
    kept: list[ControlUnit] = []
    others: list[str] = []
    gone: list[str] = []
    for unit in units:
        kind = kind_of(unit)
        other = next((fact.name for fact in fitting if kind is not None and fits_kind(fact, kind)), None)
        if any(fact.name == unit.model for fact in fitting):
            kept.append(unit)
        elif other is not None:
            kept.append(unit.model_copy(update={"model": other}))
            others.append(spoken(other))
        else:
            gone.append(spoken(unit.model))
    notes: list[Note] = []
    if others:
        notes.append(Note("control_other_model", {"names": named(others)}))
    if gone:
        notes.append(Note("control_dropped", {"names": named(gone)}))
    return led_by(spec, kept), tuple(notes)


def from_text(
    values: Sequence[Mapping[str, Any]], checkpoint: ModelFact, facts: Sequence[ModelFact]
) -> tuple[tuple[ControlUnit, ...], list[str]]:
    """What a pasted text says of its units, without pictures, and the names of the models that it lacks here."""
    units: list[ControlUnit] = []
    missing: list[str] = []
    for each in values[:UNITS_MAX]:
        try:
            model = find_control(str(each["model"]), checkpoint, facts).name
        except UserFacingError:
            missing.append(spoken(str(each["model"])))
        else:
            units.append(ControlUnit.model_validate({**each, "model": model}))
    return tuple(units), missing


def known_pictures(pending: Sequence[ControlUnit], record: JobSpec) -> tuple[ControlUnit, ...] | None:
    """A text's units with the pictures of a recorded request whose units they are; None where they are not."""
    known = own_pictures(record)
    same = len(known) == len(pending) and all(
        (one.model, one.preprocessor) == (two.model, two.preprocessor) for one, two in zip(known, pending, strict=True)
    )
    if not pending or not same:
        return None
    return tuple(
        unit.model_copy(update={"image": own.image, "mask": own.mask}) for unit, own in zip(pending, known, strict=True)
    )


def led_by(spec: Spec, units: Sequence[ControlUnit]) -> Spec:
    return spec.model_copy(update={"control": tuple(units[:UNITS_MAX])})


def _tag(unit: ControlUnit) -> str | None:
    entry = find_preprocessor(unit.preprocessor)
    return entry.tag if entry is not None else None
