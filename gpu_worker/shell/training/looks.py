"""One look at each picture before anything is loaded: whether it can be trained on, and its size."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.files import LIMIT_BYTES, LIMIT_PIXELS, TROUBLE, open_picture
from gpu_worker.protocol.specs import ImageRef
from gpu_worker.shell.errors import BadInputError

__all__ = ["SUFFIXES", "Look", "look_at_all", "picture_bytes"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_NAMED = 8
"""More problems than these are counted only."""


@dataclass(frozen=True)
class Look:
    ref: ImageRef
    size: tuple[int, int]
    """Upright."""


def look_at_all(paths: Iterable[Path]) -> dict[Path, Look]:
    """Raises BadInputError, which names the pictures that cannot be trained on."""
    found: dict[Path, Look] = {}
    problems: list[str] = []
    for path in dict.fromkeys(paths):
        try:
            found[path] = _look(path)
        except BadInputError as problem:
            problems.append(f"  {path} {problem}")
    if problems:
        left = len(problems) - _NAMED
        more = [f"  … and {left} more"] if left > 0 else []
        lines = "\n".join([*problems[:_NAMED], *more])
        raise BadInputError(f"These pictures cannot be trained on; mend them or take them out:\n{lines}")
    return found


def picture_bytes(path: Path) -> bytes:
    """As the engine reads them: a BMP becomes a PNG. Raises BadInputError, whose text goes after the path."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise BadInputError(f"is larger than {LIMIT_BYTES >> 20} MB; save it as a smaller JPEG.")
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"cannot be read ({error.strerror}).") from error
    return _png(data) if path.suffix.lower() == ".bmp" else data


def _look(path: Path) -> Look:
    data = picture_bytes(path)
    ref = ImageRef(
        ref=str(path),
        sha256=hashlib.sha256(data).hexdigest(),
        mime=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        size_bytes=max(1, len(data)),
    )
    _check(data)
    try:
        pixels = open_picture(data, ref)
    except EngineError as error:
        raise _broken() from error
    return Look(ref, (pixels.shape[1], pixels.shape[0]))


def _check(data: bytes) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                width, height = image.size
                frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError as error:
        raise BadInputError(f"has more pixels than the {_limit()} that are opened; make it smaller.") from error
    except TROUBLE as error:
        raise _broken() from error
    if width * height > LIMIT_PIXELS:
        raise BadInputError(
            f"has {width} x {height} pixels, more than the {_limit()} that are opened; make it smaller."
        )
    if frames > 1:
        raise BadInputError("is animated; save the one picture of it that you mean.")


def _png(data: bytes) -> bytes:
    _check(data)
    target = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=("BMP",)) as image:
            image.convert("RGB").save(target, "PNG", compress_level=1)
    except TROUBLE as error:
        raise _broken() from error
    return target.getvalue()


def _broken() -> BadInputError:
    return BadInputError("is broken or no picture; save it anew as PNG or JPEG.")


def _limit() -> str:
    return f"{LIMIT_PIXELS / 1e6:.0f} megapixels"
