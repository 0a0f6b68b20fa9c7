"""Reads pictures of unknown origin safely and writes PNGs that carry their infotext."""

from __future__ import annotations

import hashlib
import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import ImageRef

__all__ = ["open_picture", "png_bytes", "read_infotext", "resized"]

FORMATS = ("PNG", "JPEG", "WEBP")
LIMIT_BYTES = 64 * 1024 * 1024
LIMIT_PIXELS = 4096 * 4096
FILTERS = {"Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}


def open_picture(data: bytes, ref: ImageRef) -> Picture:
    """RGB, transparency on white. Raises EngineError `bad_input` for what is no such picture, or too large."""
    detail = {"reason": "source_picture", "limit_px": LIMIT_PIXELS}
    if len(data) > LIMIT_BYTES or hashlib.sha256(data).hexdigest() != ref.sha256:
        raise EngineError("bad_input", f"{len(data)} bytes that are too many or not those of {ref.ref}", detail)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > LIMIT_PIXELS:
                    raise EngineError("bad_input", f"a picture of {image.size}", detail)
                clear = image.convert("RGBA")
                flat = Image.new("RGBA", clear.size, "white")
                flat.alpha_composite(clear)
                return np.asarray(flat.convert("RGB"))
    except (
        UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError, ValueError,
        SyntaxError,
    ) as error:  # fmt: skip
        raise EngineError("bad_input", f"{ref.ref}: {error!r}", detail) from error


def resized(picture: Picture, width: int, height: int, upscaler: str) -> Picture:
    """`upscaler` is a key of FILTERS."""
    return np.asarray(Image.fromarray(picture).resize((width, height), FILTERS[upscaler]))


def png_bytes(picture: Picture, infotext: str) -> bytes:
    """The infotext goes where A1111 puts it: keyword `parameters`, tEXt, or iTXt where it is not Latin-1."""
    info = PngInfo()
    info.add_text("parameters", infotext.encode("utf-8", "replace").decode("utf-8"))
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def read_infotext(png: bytes) -> str | None:
    """What `png_bytes` wrote; None where there is none."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        image.load()
        text = image.info.get("parameters")
    return str(text) if text is not None else None
