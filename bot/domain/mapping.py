"""Maps of pictures for control: which preprocessor, with which numbers, for which size (behaviours §17.2–17.3)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.domain.mentions import spoken
from bot.domain.models import DISABLED, closest
from bot.errors import UserFacingError
from gpu_worker.language.preprocessors import (
    CATALOGUE_KEYS,
    PREPROCESSOR_TABLE,
    PreprocessorEntry,
    Slider,
    find_preprocessor,
)
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import (
    SEED_MAX,
    SIZE_MAX_PX,
    SIZE_MIN_PX,
    ControlResize,
    ControlUnit,
    Drawing,
    ImageRef,
    Img2Img,
    Preprocess,
)

__all__ = [
    "RESOLUTION_MAX", "RESOLUTION_MIN", "MapWish", "choose_preprocessor", "map_spec", "maps_of", "missing_annotators",
    "threshold_hints",
]  # fmt: skip

RESOLUTION_MIN, RESOLUTION_MAX, RESOLUTION = 64, 2048, 512
SHUFFLED = "shuffle"
_SEEDS = 2**32
_BROUGHT: dict[str, Literal["Just resize", "Crop and resize", "Resize and fill"]] = {
    "Just resize": "Just resize", "Crop and resize": "Crop and resize", "Resize and fill": "Resize and fill",
    "Just resize (latent upscale)": "Just resize",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MapWish:
    """None is the preprocessor's own, or for the reckoning to find."""

    preprocessor: str
    resolution: int | None = None
    a: float | None = None
    b: float | None = None
    pixel_perfect: bool | None = None
    """None: where a size is wished and no resolution."""
    width: int | None = None
    height: int | None = None
    """The size that a drawing will have, and so the map; with one of them the other follows the picture."""
    resize_mode: ControlResize = "Crop and Resize"
    seed: int | None = None


def choose_preprocessor(wanted: str, facts: Sequence[ModelFact]) -> PreprocessorEntry:
    """By its name or an old one. Raises UserFacingError: `preprocessor_unknown`; `model_disabled` and
    `preprocessor_missing` for what it looks with. Without `facts` nothing is known to be missing."""
    entry = find_preprocessor(wanted)
    if entry is None:
        near = ", ".join(closest(wanted, [each.name for each in PREPROCESSOR_TABLE])) or "canny"
        raise UserFacingError("preprocessor_unknown", name=spoken(wanted[:60]), closest=near)
    missing = missing_annotators(entry, facts)
    disabled = {fact.name.casefold() for fact in facts if fact.kind == "annotator" and fact.problem == DISABLED}
    for name in entry.files:
        if name.casefold() in disabled:
            raise UserFacingError("model_disabled", name=name)
    if missing and all(name in CATALOGUE_KEYS for name in missing):
        install = " ".join(CATALOGUE_KEYS[name] for name in missing)
        raise UserFacingError("preprocessor_missing", preprocessor=entry.name, annotator=missing[0], install=install)
    if missing:
        raise UserFacingError("preprocessor_missing_file", preprocessor=entry.name, annotator=missing[0])
    return entry


def missing_annotators(entry: PreprocessorEntry, facts: Sequence[ModelFact]) -> list[str]:
    """Files that it looks with and that are not there, by their published names."""
    there = {fact.name.casefold() for fact in facts if fact.kind == "annotator"}
    return [name for name in entry.files if name.casefold() not in there] if facts else []


def map_spec(wish: MapWish, image: ImageRef, size: tuple[int, int], facts: Sequence[ModelFact]) -> Preprocess:
    """`size` is the picture's, in pixels. Raises UserFacingError: those of `choose_preprocessor`,
    `preprocessor_number`, `preprocessor_no_number`, `preprocessor_no_resolution`, `preprocessor_resolution`,
    `preprocessor_no_seed`, `map_size`, `map_perfect_or_resolution`."""
    entry = choose_preprocessor(wish.preprocessor, facts)
    a = _number(entry, entry.a, wish.a)
    b = _number(entry, entry.b, wish.b)
    if wish.resolution is not None:
        if entry.resolution is None:
            raise UserFacingError("preprocessor_no_resolution", preprocessor=entry.name)
        if wish.pixel_perfect:
            raise UserFacingError("map_perfect_or_resolution")
        if not RESOLUTION_MIN <= wish.resolution <= RESOLUTION_MAX:
            raise UserFacingError(
                "preprocessor_resolution", wish=wish.resolution, least=RESOLUTION_MIN, most=RESOLUTION_MAX
            )
    if wish.seed is not None and entry.name != SHUFFLED:
        raise UserFacingError("preprocessor_no_seed", preprocessor=entry.name)
    sized = wish.width is not None or wish.height is not None
    perfect = sized and wish.resolution is None if wish.pixel_perfect is None else wish.pixel_perfect
    perfect = perfect and entry.resolution is not None
    width, height = _target(wish, size) if sized or perfect else (0, 0)
    seed = wish.seed if wish.seed is not None else secrets.randbelow(_SEEDS)
    return Preprocess(
        image=image,
        preprocessor=entry.name,
        processor_resolution=wish.resolution or entry.resolution or RESOLUTION,
        threshold_a=a,
        threshold_b=b,
        pixel_perfect=perfect,
        width=width,
        height=height,
        resize_mode=wish.resize_mode,
        fit=sized,
        seed=seed if entry.name == SHUFFLED else 0,
    )


def maps_of(spec: Drawing) -> Preprocess | None:
    """The maps that led a drawing's first pass, as its units made them; None where none did."""
    made = [each for unit in spec.control if (each := _map_of_unit(spec, unit)) is not None]
    return made[0].model_copy(update={"others": tuple(made[1:])}) if made else None


def threshold_hints(slider: Slider | None) -> list[float]:
    """Values of a slider that are worth a row of a list: its default, its ends and what lies between."""
    if slider is None:
        return []
    middle = round((slider.low + slider.high) / 2, 2)
    return list(dict.fromkeys((slider.default, slider.low, middle, slider.high)))


def _map_of_unit(spec: Drawing, unit: ControlUnit) -> Preprocess | None:
    if find_preprocessor(unit.preprocessor) is None:
        return None
    own = spec if isinstance(spec, Img2Img) else None
    image = unit.image or (own.image if own is not None else None)
    if image is None:
        return None
    mask = unit.mask
    if mask is None and own is not None and own.mask is not None and not own.mask.prompt and not own.mask.invert:
        mask = own.mask.image
    lots = spec.seed + (spec.variations[0].seed if spec.variations else 0)
    return Preprocess(
        image=image,
        preprocessor=unit.preprocessor,
        processor_resolution=unit.processor_resolution,
        threshold_a=unit.threshold_a,
        threshold_b=unit.threshold_b,
        pixel_perfect=unit.pixel_perfect,
        width=spec.width,
        height=spec.height,
        resize_mode=unit.resize_mode,
        fit=True,
        brought=_BROUGHT[own.resize_mode] if own is not None and unit.image is None else None,
        mask=mask,
        seed=lots % (SEED_MAX + 1),
    )


def _number(entry: PreprocessorEntry, slider: Slider | None, wish: float | None) -> float | None:
    if wish is None:
        return slider.default if slider is not None else None
    if slider is None:
        sliders = [each.label for each in (entry.a, entry.b) if each is not None]
        if not sliders:
            raise UserFacingError("preprocessor_no_numbers", preprocessor=entry.name)
        raise UserFacingError("preprocessor_no_number", preprocessor=entry.name, sliders=", ".join(sliders))
    if not slider.low <= wish <= slider.high:
        raise UserFacingError(
            "preprocessor_number", preprocessor=entry.name, name=slider.label, wish=f"{wish:g}",
            least=f"{slider.low:g}", most=f"{slider.high:g}",
        )  # fmt: skip
    return wish


def _target(wish: MapWish, size: tuple[int, int]) -> tuple[int, int]:
    width, height = wish.width, wish.height
    for side in (width, height):
        if side is not None and not SIZE_MIN_PX <= side <= SIZE_MAX_PX:
            raise UserFacingError("map_size", wish=side, least=SIZE_MIN_PX, most=SIZE_MAX_PX)
    if width is None and height is None:
        factor = min(1.0, SIZE_MAX_PX / max(size))
        width = max(SIZE_MIN_PX, round(size[0] * factor))
        height = max(SIZE_MIN_PX, round(size[1] * factor))
    elif width is None:
        assert height is not None
        width = min(max(SIZE_MIN_PX, round(height * size[0] / size[1])), SIZE_MAX_PX)
    elif height is None:
        height = min(max(SIZE_MIN_PX, round(width * size[1] / size[0])), SIZE_MAX_PX)
    return width, height
