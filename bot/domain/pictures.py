"""A request that starts from a picture the user gave: its size, its mask, and the canvas around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.sizes import MIN_SIDE_PX, SIZE_MULTIPLE_PX, check_size, choose_size, fitted
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import Extend, ImageRef, Mask

__all__ = [
    "GivenPicture", "build_extend", "build_mask", "choose_picture_size", "default_resize_mode", "require_picture",
]  # fmt: skip

_MOST_RATIO = 4.0
_SAME_ASPECT = 0.02
"""A picture this near to the wished aspect is simply brought to it."""


@dataclass(frozen=True)
class GivenPicture:
    """Pictures are addressed by what the storage knows them by; sizes in pixels, upright as a person sees them."""

    image: ImageRef
    width: int
    height: int
    mask: ImageRef | None = None


def choose_picture_size(
    picture: GivenPicture, wishes: Parameters, native: tuple[int, int], native_px: int, limits: Limits
) -> tuple[int, int]:
    """The size to draw at, without new canvas: as wished, else the picture's own aspect on the checkpoint's area.

    Raises UserFacingError: those of `choose_size`.
    """
    if wishes.width or wishes.height or wishes.aspect:
        own = Parameters(width=wishes.width, height=wishes.height, aspect=wishes.aspect)
        if wishes.aspect is None and not (wishes.width and wishes.height):
            ratio = picture.width / picture.height
            width = wishes.width or _snap((wishes.height or 0) * ratio)
            height = wishes.height or _snap((wishes.width or 0) / ratio)
            own = Parameters(width=width, height=height)
        return choose_size(own, native, native_px, limits)
    ratio = min(max(picture.width / picture.height, 1 / _MOST_RATIO), _MOST_RATIO)
    size = fitted((_snap(native_px * math.sqrt(ratio)), _snap(native_px / math.sqrt(ratio))), limits)
    check_size(*size, limits)
    return size


def default_resize_mode(picture: GivenPicture, size: tuple[int, int]) -> str:
    """Nothing is distorted unless somebody asks for it: what does not fit the size is cut off."""
    off = abs(math.log(picture.width / picture.height * size[1] / size[0]))
    return "Just resize" if off < _SAME_ASPECT else "Crop and resize"


def build_extend(wishes: Parameters, size: tuple[int, int], limits: Limits) -> tuple[Extend | None, tuple[int, int]]:
    """The new canvas, each side rounded up to a multiple of 8, and the size with it.

    Raises UserFacingError: those of `check_size`, which the whole canvas must pass.
    """
    if not any(wishes.extend or ()):
        return None, size
    left, right, top, bottom = [-(-side // SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX for side in wishes.extend or ()]
    whole = size[0] + left + right, size[1] + top + bottom
    check_size(*whole, limits)
    return Extend(left=left, right=right, top=top, bottom=bottom), whole


def build_mask(picture: GivenPicture, wishes: Parameters) -> Mask | None:
    """Ranges are checked already."""
    if picture.mask is None:
        return None
    given = {
        "blur": wishes.mask_blur,
        "invert": wishes.mask_invert,
        "content": wishes.mask_content,
        "only_masked": wishes.only_masked,
        "padding_px": wishes.padding_px,
    }
    return Mask.model_validate(
        {"image": picture.mask} | {name: wish for name, wish in given.items() if wish is not None}
    )


def require_picture(wishes: Parameters) -> None:
    """Raises UserFacingError (`extend_without_picture`)."""
    if any(wishes.extend or ()):
        raise UserFacingError("extend_without_picture")


def _snap(side: float) -> int:
    return max(MIN_SIDE_PX, round(side / SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX)
