"""Looks at the bytes of a picture that is to be trained on. Blocks; for threads. The bytes are anybody's."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field

from PIL import Image, UnidentifiedImageError

from bot.domain.flat import flattened

__all__ = ["SIDE_MIN_PX", "Inspected", "UnfitError", "inspect_picture"]

SIDE_MIN_PX = 64
"""No bucket is narrower than a step of buckets; what is smaller teaches blur."""
_MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
"""MPO is a JPEG with more pictures behind it, as phones make them; the first one counts."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""What the worker reads, too."""
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_GRID = 9, 8
_ENOUGH_PX = 128
_STEP = 2
"""Of 256 grey values: less is noise of a JPEG, which would toss a coin for each bit of a plain background."""


@dataclass(frozen=True, slots=True)
class Inspected:
    mime: str
    width: int
    height: int
    """Upright."""
    look: int


@dataclass
class UnfitError(Exception):
    """`why` is the key of the sentence `dataset.left.…`."""

    why: str
    values: dict[str, object] = field(default_factory=dict[str, object])


def inspect_picture(data: bytes, pixels_max: int) -> Inspected:
    """Raises UnfitError: `type`, `broken`, `animated`, `pixels`, `small`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                return _inspected(picture, pixels_max)
    except UnfitError:
        raise
    except Image.DecompressionBombError as error:
        raise UnfitError("pixels", {"limit_mp": pixels_max // 10**6}) from error
    except UnidentifiedImageError as error:
        raise UnfitError("broken" if data.startswith(_BEGINNINGS) else "type") from error
    except Exception as error:  # whatever Pillow makes of foreign bytes: it is no picture then
        raise UnfitError("broken") from error


def _inspected(picture: Image.Image, pixels_max: int) -> Inspected:
    kind = str(picture.format)
    if picture.width * picture.height > pixels_max:
        raise UnfitError("pixels", {"limit_mp": pixels_max // 10**6})
    if kind not in ("JPEG", "MPO") and getattr(picture, "n_frames", 1) > 1:
        raise UnfitError("animated")
    width, height = picture.size
    if min(width, height) < SIDE_MIN_PX:
        raise UnfitError("small", {"width": width, "height": height, "least": SIDE_MIN_PX})
    picture.draft("RGB", (_ENOUGH_PX, _ENOUGH_PX))
    picture.load()  # all of it: a file that breaks off is found now, and not by the training
    turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    upright = (height, width) if turned else (width, height)
    return Inspected(_MIMES[kind], *upright, difference_hash(picture))


def difference_hash(picture: Image.Image) -> int:
    """64 bits, of the picture as the worker reads it."""
    columns, rows = _GRID
    grey = flattened(picture).convert("L").resize(_GRID, Image.Resampling.BOX, reducing_gap=3.0)
    values = grey.tobytes()
    found = 0
    for row in range(rows):
        for column in range(columns - 1):
            at = row * columns + column
            found = found << 1 | (values[at] + _STEP < values[at + 1])
    return found
