"""What can be measured of a picture without a model: what a diagnosis of a training compares.

Blocks some milliseconds a picture: not on the event loop.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter, ImageStat

__all__ = ["Measured", "difference", "diversity", "measured", "nearest"]

_SMALL_PX = 32
"""A side of what pictures are compared by: where things are and of which colour, and no detail."""
_SHARP_PX = 256


@dataclass(frozen=True, slots=True)
class Measured:
    small: Image.Image
    """RGB."""
    saturation: float
    """0 is grey, 1 is as colourful as can be."""
    contrast: float
    """Standard deviation of the lightness, 0 to 0.5."""
    sharpness: float
    """Mean strength of edges, 0 to 1."""


def measured(picture: Image.Image) -> Measured:
    whole = picture.convert("RGB")
    small = whole.resize((_SMALL_PX, _SMALL_PX), Image.Resampling.BOX)
    grey = whole.convert("L")
    edges = grey.resize((_SHARP_PX, _SHARP_PX), Image.Resampling.BILINEAR).filter(ImageFilter.FIND_EDGES)
    # The filter copies the outermost row, which is no edge.
    inner = edges.crop((1, 1, _SHARP_PX - 1, _SHARP_PX - 1))
    return Measured(
        small,
        saturation=ImageStat.Stat(whole.convert("HSV")).mean[1] / 255,
        contrast=ImageStat.Stat(grey).stddev[0] / 255,
        sharpness=ImageStat.Stat(inner).mean[0] / 255,
    )


def difference(one: Measured, other: Measured) -> float:
    """0: alike; 1: black and white. Two unrelated pictures are about 0.25 apart."""
    return statistics.fmean(ImageStat.Stat(ImageChops.difference(one.small, other.small)).mean) / 255


def diversity(pictures: Sequence[Measured]) -> float:
    """How far they are apart from one another, on the mean; 0 for fewer than two."""
    pairs = [difference(one, other) for one, other in itertools.combinations(pictures, 2)]
    return statistics.fmean(pairs) if pairs else 0.0


def nearest(picture: Measured, others: Sequence[Measured]) -> float | None:
    """How far the most similar one is away; None where there is none."""
    return min((difference(picture, other) for other in others), default=None)
