"""Units of detail fix: made of what people call them, named in a line, kept where a request is changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from bot.domain.limits import DEFAULT_LIMITS, Limits
from bot.domain.mentions import spoken
from bot.domain.models import DISABLED, closest
from bot.domain.values import plain
from bot.errors import UserFacingError
from gpu_worker.language.detectors import (
    CATALOGUE_DETECTORS,
    FACES,
    FIX_WORDS,
    detector_by_word,
    usable_detectors,
)
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import DETAILS_MAX, DetailFix, Drawing, ImageRef, Img2Img, JobSpec

__all__ = [
    "detail_changes", "find_detector", "fixed", "known_units", "plain_fixes", "read_fixes",
    "unit_label", "unit_line",
]  # fmt: skip

_INSTALL = {"face": "detector-face", "hand": "detector-hand", "person": "detector-person"}
_OFF = frozenset({"off", "none", "no"})
_ON = frozenset({"on", "true"})
_FIELDS = (
    ("model", "model"), ("prompt", "prompt"), ("negative_prompt", "negative prompt"), ("confidence", "confidence"),
    ("denoising_strength", "denoise"), ("steps", "steps"), ("cfg_scale", "CFG"), ("sampler", "sampler"),
    ("schedule", "schedule"), ("width", "width"), ("height", "height"), ("padding_px", "padding"),
    ("mask_blur", "mask blur"), ("dilate", "dilate"), ("x_offset", "x"), ("y_offset", "y"), ("merge", "merge"),
    ("only_masked", "only masked"), ("sort", "sort"), ("most", "most"), ("only_k", "largest"),
    ("min_ratio", "from"), ("max_ratio", "up to"), ("classes", "classes"),
)  # fmt: skip
_SIDE_MAX_PX = 2048


def find_detector(wanted: str, facts: Sequence[ModelFact]) -> str:
    """By its name, or the first that finds what a word of FIX_WORDS names. Raises UserFacingError: `detector_none`,
    `detector_unknown`, `detector_unusable`, `model_disabled`."""
    typed = wanted.strip().casefold()
    there = usable_detectors(facts)
    for fact in facts:
        if fact.kind == "detector" and fact.name.casefold() == typed and fact.problem is not None:
            raise UserFacingError(
                "model_disabled" if fact.problem == DISABLED else "detector_unusable", name=spoken(fact.name)
            )
    found, word = detector_by_word(wanted, there)
    if found is not None:
        return found
    if word is not None:
        raise UserFacingError("detector_none", install=_INSTALL[word])
    if typed == FACES or not there:
        raise UserFacingError("detector_none", install=CATALOGUE_DETECTORS.get(wanted.strip(), _INSTALL["face"]))
    near = ", ".join(map(spoken, closest(wanted, [*there, *FIX_WORDS])))
    raise UserFacingError("detector_unknown", name=spoken(wanted), closest=near)


def read_fixes(text: str, facts: Sequence[ModelFact]) -> tuple[DetailFix, ...]:
    """`face`, `face, hand`, a detector's name, `on` for faces, `off`. Raises UserFacingError as `find_detector`, and
    `details_many`."""
    words = [part.strip() for part in text.split(",") if part.strip()]
    if not words or words[0].casefold() in _OFF:
        return ()
    if len(words) > DETAILS_MAX:
        raise UserFacingError("details_many", most=DETAILS_MAX)
    names = ["face" if word.casefold() in _ON else word for word in words]
    return tuple(DetailFix(model=find_detector(name, facts)) for name in dict.fromkeys(names))


def plain_fixes(units: Sequence[DetailFix]) -> str | None:
    """As `read_fixes` reads them; None where there are none, or one says more than its detector."""
    if not units or any(unit != DetailFix(model=unit.model) or "," in unit.model for unit in units):
        return None
    return ", ".join(unit.model for unit in units)


def known_units(
    values: Sequence[dict[str, Any]], facts: Sequence[ModelFact], limits: Limits = DEFAULT_LIMITS
) -> tuple[tuple[DetailFix, ...], list[str]]:
    """Of a pasted text, and the names of detectors that are not here. A find that would be drawn larger than is allowed
    is drawn at the drawing's own size."""
    units: list[DetailFix] = []
    missing: list[str] = []
    for each in values[:DETAILS_MAX]:
        try:
            found: dict[str, Any] = {**each, "model": find_detector(str(each["model"]), facts)}
        except UserFacingError:
            missing.append(spoken(str(each["model"])))
        else:
            sides = found.get("width", 0), found.get("height", 0)
            if max(sides) > limits.max_side_px or sides[0] * sides[1] > limits.max_pixels:
                found |= {"width": 0, "height": 0}
            units.append(DetailFix(**found))
    return tuple(units), missing


def fixed(spec: JobSpec, image: ImageRef, size: tuple[int, int], units: Sequence[DetailFix]) -> Img2Img:
    """The finished picture `image` of `size` in pixels with its details drawn once more, in the words, with the model
    and the seed that `spec`, a request for one picture, drew it with. Finds are drawn at that request's own size."""
    own: dict[str, Any] = {name: getattr(spec, name) for name in Drawing.model_fields}
    own |= {"batch_size": 0, "control": (), "regions": None, "image_prompts": None, "refiner": None, "tiling": False}
    own["face_restore"] = None
    at_its_size = [
        unit if unit.width else unit.model_copy(update={"width": spec.width, "height": spec.height}) for unit in units
    ]
    width, height = (min(_SIDE_MAX_PX, max(64, side // 8 * 8)) for side in size)
    own |= {"width": width, "height": height, "details": tuple(at_its_size)}
    return Img2Img(**own, image=image, details_only=True, denoising_strength=0.0)


def unit_label(unit: DetailFix) -> str:
    return unit.model


def unit_line(unit: DetailFix) -> str:
    """The detector, and whatever is not as usual. Names and words are as given: whoever shows it makes it inert."""
    usual = DetailFix(model=unit.model)
    said = [
        f"{label} {_said(getattr(unit, name))}"
        for name, label in _FIELDS[1:]
        if getattr(unit, name) != getattr(usual, name) or name == "denoising_strength"
    ]
    return ", ".join([unit_label(unit), *said])


def detail_changes(before: Sequence[DetailFix], after: Sequence[DetailFix]) -> list[tuple[str, str, str]]:
    """Name, before and after; of whole units both are names or empty."""
    found: list[tuple[str, str, str]] = []
    for at, (one, two) in enumerate(zip_longest(before, after), 1):
        name = f"Detail {at}"
        if one is None or two is None:
            found.append((name, unit_label(one) if one else "", unit_label(two) if two else ""))
            continue
        for field, label in _FIELDS:
            old, new = getattr(one, field), getattr(two, field)
            if old != new:
                found.append((f"{name} {label}", _said(old), _said(new)))
    return found


def _said(value: Any) -> str:
    return "" if value is None else " ".join(plain(value).split())
