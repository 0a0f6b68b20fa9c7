"""What one field of the panel's forms holds now, which choices it has, and which parameters it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from bot.domain.models import UPSCALERS, face_models, names_of
from bot.domain.parameters import Parameters
from bot.domain.values import plain
from bot.domain.wishes import EMPHASES, MASK_CONTENTS, NOISE_SOURCES, RESIZE_MODES
from bot.i18n import Texts
from bot.storage.drafts import Draft
from bot.ui.forms import NAME_LIMIT, OPTIONS_LIMIT
from gpu_worker.language.names import SCHEDULES
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Img2Img

__all__ = ["KEEP", "NONE", "NO_MASK", "NO_PICTURE", "current_of", "options_of", "parameters_behind"]

NONE = "-"
"""A choice of a list that takes a wish away; Discord knows no empty value."""
KEEP, NO_MASK, NO_PICTURE = "keep", "no_mask", "no_picture"
_COUNTS = 4
_Options: TypeAlias = list[tuple[str, str]] | None


def parameters_behind(field: str) -> tuple[str, ...]:
    match field:
        case "hires":
            return "hires_scale", "hires_size"
        case "variation":
            return "variation_seed", "variation_strength"
        case "refiner":
            return "refiner", "refiner_at"
        case "face_restore":
            return "face_restore", "face_visibility", "face_weight"
        case "size":
            return "width", "height"
        case _:
            return (field,)


def current_of(field: str, now: Parameters) -> str:
    match field:
        case "hires":
            return plain(now.hires_size or (now.hires_scale if now.hires_scale is not None else ""))
        case "variation" if now.variation_strength is not None:
            return f"{now.variation_seed}:{plain(now.variation_strength)}"
        case "variation":
            return ""
        case "refiner":
            return f"{now.refiner}@{plain(now.refiner_at)}" if now.refiner else ""
        case "size":
            return f"{now.width}x{now.height}"
        case "keep":
            return KEEP
        case _:
            wish = getattr(now, field)
            return "" if wish is None else plain(wish)


def options_of(field: str, draft: Draft, facts: Sequence[ModelFact], texts: Texts) -> _Options:
    """(value, label) of a list; None where a text is typed, also where a list would not hold all there are."""
    none = (NONE, texts("advanced.default"))
    match field:
        case "hires_upscaler":
            names = [*UPSCALERS, *names_of("upscaler", facts)]
        case "noise_source":
            names = [*NOISE_SOURCES]
        case "schedule":
            return [(name, name) for name in SCHEDULES]
        case "emphasis":
            names = [*EMPHASES]
        case "resize_mode":
            names = [*RESIZE_MODES]
        case "mask_content":
            names = [*MASK_CONTENTS]
        case "count":
            return [(str(n), str(n)) for n in range(1, _COUNTS + 1)]
        case "keep":
            masked = isinstance(draft.spec, Img2Img) and draft.spec.mask is not None
            values = (KEEP, *((NO_MASK,) if masked else ()), NO_PICTURE)
            return [(value, texts(f"advanced.source_{value}")) for value in values]
        case "checkpoint":
            names = names_of("checkpoint", facts)
            return [(name, name) for name in names] if names and _fit(names) else None
        case "vae":
            names = ["None", *names_of("vae", facts)]
        case "face_restore":
            names = face_models(facts)
        case _:
            return None
    return [none, *((name, name) for name in names)] if _fit(names) else None


def _fit(names: Sequence[str]) -> bool:
    return len(names) < OPTIONS_LIMIT and all(len(name) <= NAME_LIMIT for name in names)
