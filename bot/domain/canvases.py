"""More canvas around a finished picture: zoomed out, panned, made square. Each is outpainting (`Img2Img.extend`).

The picture keeps its place and is brought to the scale of its first pass, so a zoom gives a picture as large as that
one and a pan a longer one, as far as the limits and the checkpoint's own size allow. Everything else that the picture
was drawn with stays; seeds are new.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from bot.domain.actions import VARIATIONS, first_pass, picture_spec
from bot.domain.control.keeping import anywhere
from bot.domain.imagine import draw_seed
from bot.domain.layouts.keeping import on_canvas, with_the_same_regions
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.pictures import GivenPicture, default_resize_mode
from bot.domain.sizes import MIN_SIDE_PX, SIZE_MULTIPLE_PX, fitted
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import Drawing, Extend, Img2Img, JobSpec

__all__ = ["MOST_ZOOM", "PAN_SHARE", "STRENGTH", "Side", "base_of", "pan", "read_zoom", "reworded", "square", "zoom"]

Side = Literal["left", "right", "top", "bottom"]
STRENGTH = 0.8
"""The new canvas begins as the blurred border with grain: little of that should be seen in the end."""
PAN_SHARE = 0.5
"""New canvas of a pan, as a share of the picture's own side."""
MOST_ZOOM = 4.0
MOST_RATIO = 4.0
NATIVE_AREAS = 2.25
"""A canvas of more than so many times the checkpoint's own area would be drawn as several pictures side by side."""
_NUMBER = re.compile(r"(\d{1,2}(?:[.,]\d{1,3})?)\s*[x×]?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Margins:
    """New canvas as shares of the picture's width (left, right) and height."""

    left: float = 0
    right: float = 0
    top: float = 0
    bottom: float = 0


def base_of(spec: JobSpec, index: int) -> dict[str, Any]:
    """What every new drawing of picture `index` begins with: the fields of `Drawing`, a picture's count and no noise of
    the old one. Sizes are those of the first pass."""
    picture = first_pass(picture_spec(spec, index))
    own: dict[str, Any] = {name: getattr(picture, name) for name in Drawing.model_fields}
    return own | {"variations": (), "seed_resize": None, "tiling": False, "batch_size": 0}


def zoom(
    spec: JobSpec,
    index: int,
    picture: GivenPicture,
    factor: float,
    rng: Random,
    limits: Limits,
    *,
    aspect: str | None = None,
    native_px: int | None = None,
) -> Img2Img:
    """`picture` in the middle of a canvas `factor` times as wide and high; with `aspect` widened to that shape.

    Raises UserFacingError: `zoom_range`, `zoom_nothing`, `zoom_too_far`, `canvas_long`.
    """
    if not 1 <= factor <= MOST_ZOOM:
        raise UserFacingError("zoom_range", most=f"{MOST_ZOOM:g}")
    width, height = picture.width * factor, picture.height * factor
    if aspect is not None:
        ratio = int(aspect.split(":")[0]) / int(aspect.split(":")[1])
        width, height = max(width, height * ratio), max(height, width / ratio)
    across, along = (width / picture.width - 1) / 2, (height / picture.height - 1) / 2
    if max(across, along) < 0.02:
        raise UserFacingError("zoom_nothing")
    return _on_canvas(spec, index, picture, _Margins(across, across, along, along), rng, limits, native_px, grows=False)


def pan(
    spec: JobSpec,
    index: int,
    picture: GivenPicture,
    side: Side,
    rng: Random,
    limits: Limits,
    *,
    native_px: int | None = None,
) -> Img2Img:
    """Half as much canvas again at that side. Raises UserFacingError: `canvas_long`, `zoom_too_far`."""
    margins = _Margins(**{side: PAN_SHARE})
    return _on_canvas(spec, index, picture, margins, rng, limits, native_px, grows=True)


def square(
    spec: JobSpec, index: int, picture: GivenPicture, rng: Random, limits: Limits, *, native_px: int | None = None
) -> Img2Img:
    """The shorter sides filled up evenly. Raises UserFacingError (`square_already`)."""
    longest = max(picture.width, picture.height)
    across, along = (longest / picture.width - 1) / 2, (longest / picture.height - 1) / 2
    if max(across, along) < 0.02:
        raise UserFacingError("square_already")
    return _on_canvas(spec, index, picture, _Margins(across, across, along, along), rng, limits, native_px, grows=True)


def reworded(spec: Img2Img, prompt: str) -> Img2Img:
    """With another prompt, which may be a dynamic one; what it was drawn from before counts no more."""
    if prompt == spec.prompt:
        return spec
    reworded = spec.model_copy(update={"prompt": prompt, "template": None})
    if spec.regions is None:
        return reworded
    again, _ = with_the_same_regions(reworded, spec.regions)
    assert isinstance(again, Img2Img), "regions change no kind"
    return again


def read_zoom(text: str) -> float:
    """`1.75`, `1,75`, `2x`, `150%`. Raises UserFacingError (`zoom_unreadable`)."""
    typed = text.strip()
    percent = typed.endswith("%")
    found = re.fullmatch(r"(\d{2,3})\s*", typed[:-1]) if percent else _NUMBER.fullmatch(typed)
    if found is None:
        raise UserFacingError("zoom_unreadable", text=spoken(text))
    return float(found[1].replace(",", ".")) / (100 if percent else 1)


def _on_canvas(
    spec: JobSpec,
    index: int,
    picture: GivenPicture,
    margins: _Margins,
    rng: Random,
    limits: Limits,
    native_px: int | None,
    *,
    grows: bool,
) -> Img2Img:
    """`grows`: the picture keeps the scale it was drawn at, and the canvas is larger than that drawing."""
    own = base_of(spec, index)
    across, along = 1 + margins.left + margins.right, 1 + margins.top + margins.bottom
    width, height = picture.width * across, picture.height * along
    if max(width / height, height / width) > MOST_RATIO:
        raise UserFacingError("canvas_long", ratio=f"{MOST_RATIO:g}:1")
    drawn = own["width"] * own["height"]
    area = drawn * across * along if grows else drawn
    if native_px is not None:
        area = min(area, max(drawn, NATIVE_AREAS * native_px * native_px))
    scale = math.sqrt(area / (width * height))
    size = fitted((_snapped(width * scale), _snapped(height * scale)), limits)
    left, right = _sides(size[0], margins.left / across, margins.right / across)
    top, bottom = _sides(size[1], margins.top / along, margins.bottom / along)
    inner = size[0] - left - right, size[1] - top - bottom
    if min(inner) < min(MIN_SIDE_PX, *size):
        raise UserFacingError("zoom_too_far")
    own |= {"width": size[0], "height": size[1], "seed": draw_seed(rng), "count": min(VARIATIONS, limits.max_count)}
    own["control"] = anywhere(own["control"])
    extend = Extend(left=left, right=right, top=top, bottom=bottom)
    own["regions"] = on_canvas(own["regions"], size, extend)
    return Img2Img(
        **own,
        image=picture.image,
        denoising_strength=STRENGTH,
        resize_mode=default_resize_mode(picture, inner),  # pyright: ignore[reportArgumentType]
        extend=extend,
    )


def _sides(length: int, before: float, after: float) -> tuple[int, int]:
    """New pixels before and after, in whole latent cells; what was wished for is at least one."""
    first, last = [
        max(SIZE_MULTIPLE_PX, round(length * share / SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX) if share > 0 else 0
        for share in (before, after)
    ]
    return first, last


def _snapped(side: float) -> int:
    return max(MIN_SIDE_PX, round(side / SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX)
