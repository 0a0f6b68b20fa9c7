"""What a comparison shows in numbers: its cells beside the base's and the data set's pictures. Blocks: off the loop."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Mapping, Sequence

from PIL import Image as Pictures

from bot.domain.training.comparison import Place
from bot.domain.training.diagnosis import Looked, Measures
from bot.domain.training.measures import Measured, difference, diversity, measured, nearest

__all__ = ["OWN_MAX", "compared"]

OWN_MAX = 60
"""Pictures of the data set that are looked at; with more the search takes longer than it tells."""
_FULL_WEIGHT = 1.0

Read = Callable[[], bytes | None]


def compared(
    places: Mapping[int, Place], cells: Mapping[int, Read], own: Sequence[Read], names: Sequence[str],
    curve: Sequence[float],
) -> Measures:  # fmt: skip
    """`names` in the order of training. Epochs without a picture at weight 1 beside one of the base alone are left
    out."""
    data = [one for read in own[:OWN_MAX] if (one := _measured(read())) is not None]
    bases: dict[int, Measured] = {}
    drawn: dict[str, dict[int, Measured]] = {}
    for index, place in places.items():
        if index not in cells or (place.name is not None and place.weight != _FULL_WEIGHT):
            continue
        if place.name is None and place.prompt in bases:
            continue  # the base alone is the same at every weight
        one = _measured(cells[index]())
        if one is None:
            continue
        if place.name is None:
            bases[place.prompt] = one
        else:
            drawn.setdefault(place.name, {})[place.prompt] = one
    found = [
        looked for name in names if (looked := _looked(name, drawn.get(name, {}), bases, data)) is not None
    ]  # fmt: skip
    base = [*bases.values()]
    return Measures(
        epochs=tuple(found),
        base_spread=round(diversity(base), 4) if len(base) > 1 else None,
        base_nearest=_nearest(base, data),
        curve=tuple(curve),
    )


def _looked(
    name: str, drawn: Mapping[int, Measured], bases: Mapping[int, Measured], data: Sequence[Measured]
) -> Looked | None:
    both = sorted(drawn.keys() & bases.keys())
    if not both:
        return None
    there, base = [drawn[prompt] for prompt in both], [bases[prompt] for prompt in both]
    spread = diversity(base)
    return Looked(
        name=name,
        effect=round(statistics.fmean(map(difference, there, base)), 4),
        saturation=_outside("saturation", there, base, data),
        contrast=_outside("contrast", there, base, data),
        sharpness=_outside("sharpness", there, base, data),
        spread=round(diversity(there) / spread, 3) if len(both) > 1 and spread > 0 else None,
        nearest=_nearest(there, data),
    )


def _outside(what: str, there: Sequence[Measured], base: Sequence[Measured], data: Sequence[Measured]) -> float:
    """A training moves colours from the base's towards the data set's: only what leaves both is burnt."""
    value = _mean(what, there)
    bounds = [_mean(what, base), *([_mean(what, data)] if data else [])]
    low, high = max(min(bounds), 1e-4), max(max(bounds), 1e-4)
    return round(max(1.0, value / high, low / max(value, 1e-4)), 3)


def _mean(what: str, pictures: Sequence[Measured]) -> float:
    return statistics.fmean(getattr(one, what) for one in pictures)


def _nearest(pictures: Sequence[Measured], data: Sequence[Measured]) -> float | None:
    found = [near for one in pictures if (near := nearest(one, data)) is not None]
    return round(statistics.fmean(found), 4) if found else None


def _measured(data: bytes | None) -> Measured | None:
    """Ours, or a small copy that was made of what somebody gave."""
    if data is None:
        return None
    try:
        with Pictures.open(io.BytesIO(data), formats=("PNG", "WEBP", "JPEG")) as found:
            return measured(found)
    except Exception:  # whatever Pillow makes of a damaged file
        return None
