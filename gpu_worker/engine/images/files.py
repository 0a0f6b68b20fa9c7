"""Reads pictures of unknown origin safely; writes PNG, JPEG and WebP that carry their infotext where A1111 puts it."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.metadata import FORMATS, LIMIT_BYTES, LIMIT_PIXELS, TROUBLE, UNICODE, infotext_in
from gpu_worker.protocol.specs import ImageRef

__all__ = [
    "FORMATS", "LIMIT_BYTES", "LIMIT_PIXELS", "TROUBLE", "infotext_in", "open_mask", "open_picture", "picture_bytes",
    "png_bytes", "read_infotext",
]  # fmt: skip

_OPAQUE_ABOVE = 128
_EXIF_LIMIT_BYTES = 65_000
"""A JPEG segment holds 65,533 bytes; a longer infotext is left out of it."""


def open_picture(data: bytes, ref: ImageRef) -> Picture:
    """RGB, upright, transparency on white; a GIF's first frame.

    Raises EngineError `bad_input` for what is no such picture, too large, or not the bytes that `ref` announces.
    """
    with _opened(data, ref) as image:
        clear = _rgba(image)
        flat = Image.new("RGBA", clear.size, "white")
        flat.alpha_composite(clear)
        return np.asarray(flat.convert("RGB"))


def open_mask(data: bytes, ref: ImageRef) -> Picture:
    """uint8 [height, width], 255 where to repaint: a transparent picture's alpha above 128, else the brightness as it
    is (behaviours §9.3.1). Errors as in `open_picture`.
    """
    with _opened(data, ref) as image:
        clear = _rgba(image)
        alpha = np.asarray(clear.getchannel("A"))
        if (alpha != 255).any():
            return np.where(alpha > _OPAQUE_ABOVE, 255, 0).astype(np.uint8)
        return np.asarray(clear.convert("RGB").convert("L"))


def png_bytes(picture: Picture, infotext: str, extras: str | None = None) -> bytes:
    """The infotext goes where A1111 puts it: keyword `parameters`, tEXt, or iTXt where it is not Latin-1.

    `extras` is what its Extras tab did to the picture, under the keyword of that name.
    """
    info = PngInfo()
    info.add_text("parameters", infotext.encode("utf-8", "replace").decode("utf-8"))
    if extras:
        info.add_text("extras", extras.encode("utf-8", "replace").decode("utf-8"))
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def picture_bytes(
    picture: Picture, infotext: str, kind: Literal["PNG", "JPEG", "WEBP"], *, quality: int = 95, lossless: bool = False
) -> bytes:
    """`quality` (1–100) is JPEG's and WebP's, `lossless` WebP's; the infotext goes into EXIF's UserComment there."""
    if kind == "PNG":
        return png_bytes(picture, infotext)
    comment = UNICODE + infotext.encode("utf-16-be", "replace")
    options: dict[str, Any] = {"quality": quality} | ({"lossless": lossless} if kind == "WEBP" else {})
    if kind == "WEBP" or len(comment) < _EXIF_LIMIT_BYTES:
        exif = Image.Exif()
        exif.endian = ">"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
        options["exif"] = exif.tobytes()
    target = io.BytesIO()
    Image.fromarray(picture).save(target, kind, **options)
    return target.getvalue()


def read_infotext(data: bytes) -> str | None:
    """A PNG's `parameters`, EXIF's UserComment, a GIF's comment; None where there is none, or no picture of ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > LIMIT_PIXELS:
                    return None
                image.load()
                return infotext_in(image)
    except TROUBLE:
        return None


@contextmanager
def _opened(data: bytes, ref: ImageRef) -> Generator[Image.Image]:
    detail = {"reason": "source_picture", "limit_px": LIMIT_PIXELS}
    if len(data) > LIMIT_BYTES or hashlib.sha256(data).hexdigest() != ref.sha256:
        raise EngineError("bad_input", f"{len(data)} bytes that are too many or not those of {ref.ref}", detail)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > LIMIT_PIXELS:
                    raise EngineError("bad_input", f"a picture of {image.size}", detail)
                yield image
    except TROUBLE as error:
        raise EngineError("bad_input", f"{ref.ref}: {error!r}", detail) from error


def _rgba(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return ImageOps.exif_transpose(image.convert("RGBA"))
