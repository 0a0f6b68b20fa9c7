"""What a value of an axis does with the request of a cell. Values were checked when the plot was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from bot.domain import values
from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.styles import apply_styles
from gpu_worker.language.names import resolve_sampler
from gpu_worker.language.plots import Value, ValuesError, in_order, search_and_replace
from gpu_worker.protocol.specs import FaceRestore, Img2Img, JobSpec, Refiner, Txt2Img, Variation

__all__ = [
    "Apply",
    "Given",
    "applies_denoising",
    "applies_faces",
    "applies_field",
    "applies_hires",
    "applies_hires_sampler",
    "applies_order",
    "applies_refiner",
    "applies_refiner_switch",
    "applies_sampler",
    "applies_schedule",
    "applies_search",
    "applies_size",
    "applies_styles",
    "applies_variation_seed",
    "applies_variation_strength",
]  # fmt: skip

NONE = "None"


@dataclass(frozen=True, slots=True)
class Given:
    """What an axis may need beside its value."""

    all: Sequence[Value]
    """All values of the axis."""
    variation_seed: int
    """For pictures that had no variation."""


Apply = Callable[[JobSpec, Value, Given], JobSpec]
"""Raises LookupError or ValuesError (`long`) where a text cannot be changed."""


def _with(spec: JobSpec, **changes: object) -> JobSpec:
    return spec.model_copy(update=changes)


def applies_field(name: str, meanings: Mapping[Value, object] | None = None) -> Apply:
    def apply(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
        return _with(spec, **{name: value if meanings is None else meanings[value]})

    return apply


def applies_hires(name: str) -> Apply:
    """Of a second pass; without one nothing changes."""

    def apply(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
        return _with_hires(spec, **{name: value})

    return apply


def _with_hires(spec: JobSpec, **changes: object) -> JobSpec:
    if not isinstance(spec, Txt2Img) or spec.hires is None:
        return spec
    return _with(spec, hires=spec.hires.model_copy(update=changes))


def applies_denoising(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    """Of the picture that is drawn again, or of the second pass."""
    if isinstance(spec, Img2Img):
        return _with(spec, denoising_strength=value)
    return _with_hires(spec, denoising_strength=value)


def applies_sampler(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    """A sampler brings its own schedule, as everywhere."""
    sampler, schedule = cast("tuple[str, str]", value)
    return _with(spec, sampler=sampler, schedule=schedule)


def applies_schedule(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    """The sampler's own one is written as Automatic, as everywhere."""
    choice = resolve_sampler(spec.sampler, str(value))
    return _with(spec, schedule=value if choice is None else choice.schedule)


def applies_hires_sampler(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    sampler, schedule = cast("tuple[str, str]", value)
    return _with_hires(spec, sampler=sampler, schedule=schedule)


def applies_variation_strength(spec: JobSpec, value: Value, given: Given) -> JobSpec:
    """Of the last step of a path; 0 takes it away."""
    earlier = spec.variations[:-1]
    if not value:
        return _with(spec, variations=earlier)
    seed = spec.variations[-1].seed if spec.variations else given.variation_seed
    return _with(spec, variations=(*earlier, Variation(seed=seed, strength=cast("float", value))))


def applies_variation_seed(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    if not spec.variations:
        return spec
    last = spec.variations[-1].model_copy(update={"seed": value})
    return _with(spec, variations=(*spec.variations[:-1], last))


def applies_search(spec: JobSpec, value: Value, given: Given) -> JobSpec:
    """In both texts, wherever it stands; not in those of a second pass."""
    searched, text = str(given.all[0]), str(value)
    for side in (spec.prompt, spec.negative_prompt):
        if len(side) + side.count(searched) * (len(text) - len(searched)) > DEFAULT_LIMITS.max_expanded_chars:
            raise ValuesError("long", text)
    prompt, negative = search_and_replace(searched, text, spec.prompt, spec.negative_prompt)
    return _with(spec, prompt=prompt, negative_prompt=negative)


def applies_order(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    return _with(spec, prompt=in_order(cast("tuple[str, ...]", value), spec.prompt))


def applies_styles(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    """`value` holds the whole texts: prompt and negative prompt of each style in turn."""
    texts = cast("tuple[str, ...]", value)
    prompt, negative = apply_styles(texts[::2], spec.prompt), apply_styles(texts[1::2], spec.negative_prompt)
    return _with(spec, prompt=prompt, negative_prompt=negative)


def applies_faces(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    if value == "off":
        return _with(spec, face_restore=None)
    return _with(spec, face_restore=(spec.face_restore or FaceRestore()).model_copy(update={"model": value}))


def applies_refiner(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    if value == NONE:
        return _with(spec, refiner=None)
    before = spec.refiner or Refiner(checkpoint=str(value))
    return _with(spec, refiner=before.model_copy(update={"checkpoint": value}))


def applies_refiner_switch(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    return spec if spec.refiner is None else _with(spec, refiner=spec.refiner.model_copy(update={"switch_at": value}))


def applies_size(spec: JobSpec, value: Value, _given: Given) -> JobSpec:
    """Before new canvas is added."""
    width, height = values.size(str(value))
    if isinstance(spec, Img2Img) and spec.extend is not None:
        width += spec.extend.left + spec.extend.right
        height += spec.extend.top + spec.extend.bottom
    return _with(spec, width=width, height=height)
