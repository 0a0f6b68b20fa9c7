"""Pictures of untrusted origin: opened within bounds, decoded to the last pixel, and written anew."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from gpu_worker.engine.images.metadata import FORMATS, TROUBLE, infotext_in
from gpu_worker.looker.png_files import AREA_PX_MAX, bare_png
from gpu_worker.protocol.looking import LookAtPart, LookAtPicture, LookAtPreview, SeenText

__all__ = ["NotAPictureError", "Written", "checked_part", "checked_picture", "checked_preview", "texts_of"]

_FORMATS = {"image/png": "PNG", "image/webp": "WEBP", "image/jpeg": "JPEG"}
_PART_TEXTS = {"place": re.compile(r"\d{1,5}(,\d{1,5}){3}"), "start": re.compile(r"[0-9a-f]{2,2000}")}
_SOURCE_PX = 16384
_PREVIEW_BYTES_MAX = 256 * 1024


class NotAPictureError(Exception):
    """What was sent is none, or another one than was asked for; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Written:
    png: bytes
    width: int
    height: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.png).hexdigest()


def checked_picture(wish: LookAtPicture) -> Written:
    """Raises NotAPictureError, OSError."""
    asked = (wish.width, wish.height) if wish.width else None
    kind = _FORMATS.get(wish.mime)
    if kind is None:
        raise NotAPictureError(f"a picture of the kind {wish.mime!r:.60}")
    texts = {key: value.encode("utf-8", "replace").decode("utf-8") for key, value in wish.texts.items()}
    return _written(_bytes(wish.source, wish.limit_bytes), kind, texts, wish.longest_px, asked)


def checked_part(wish: LookAtPart) -> Written:
    """With those of its texts that a worker goes on by. Raises NotAPictureError, OSError."""
    data = _bytes(wish.source, wish.limit_bytes)
    with _opened(data, "PNG", wish.longest_px) as image:
        said = {key: image.info.get(key) for key in _PART_TEXTS}
    texts = {key: str(value) for key, value in said.items() if _PART_TEXTS[key].fullmatch(str(value or ""))}
    return _written(data, "PNG", texts, wish.longest_px, None)


def checked_preview(wish: LookAtPreview) -> bytes:
    """A JPEG. Raises NotAPictureError."""
    if len(wish.data) > _PREVIEW_BYTES_MAX:
        raise NotAPictureError(f"a preview of {len(wish.data)} bytes")
    for kind in ("JPEG", "WEBP"):
        try:
            with _opened(wish.data, kind, wish.longest_px) as image:
                target = io.BytesIO()
                _pixels(image).save(target, "JPEG", quality=80)
                return target.getvalue()
        except NotAPictureError:
            if kind == "WEBP":
                raise
    raise AssertionError("the last one returns or raises")


def texts_of(path: str) -> SeenText:
    """Raises NotAPictureError, OSError."""
    data = Path(path).read_bytes()
    with _opened(data, None, _SOURCE_PX) as image:
        plain, (width, height) = infotext_in(image) or "", ImageOps.exif_transpose(image).size
    try:
        from gpu_worker.engine.images.foreign import read_text
    except ImportError:  # a bot without workers of its own need not have what that reads with
        return SeenText(width=width, height=height, plain=plain, foreign=plain)
    return SeenText(width=width, height=height, plain=plain, foreign=read_text(data) or "")


def _written(
    data: bytes, kind: str, texts: Mapping[str, str], longest_px: int, asked: tuple[int, int] | None
) -> Written:
    bare = bare_png(data, texts) if kind == "PNG" else None
    # What is decoded is what will be stored.
    with _opened(bare or data, kind, longest_px, asked) as image:
        size, png = image.size, bare or _encoded(image, texts)
    return Written(png, *size)


def _encoded(image: Image.Image, texts: Mapping[str, str]) -> bytes:
    info = PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    target = io.BytesIO()
    _pixels(image).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def _pixels(image: Image.Image) -> Image.Image:
    """And nothing else: Pillow would write profiles and comments along."""
    plain = image.convert("RGB")
    plain.info = {}
    return plain


def _bytes(source: str, limit_bytes: int) -> bytes:
    path = Path(source)
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise NotAPictureError("a picture whose file is not there") from error
    if size > limit_bytes:
        raise NotAPictureError(f"a picture of {size} bytes, where {limit_bytes} are the most it can have")
    return path.read_bytes()


@contextmanager
def _opened(
    data: bytes, kind: str | None, longest_px: int, asked: tuple[int, int] | None = None
) -> Generator[Image.Image]:
    """Whole in memory, once its size is known to be right."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have bounds of our own
            with Image.open(io.BytesIO(data), formats=(kind,) if kind else FORMATS) as image:
                if asked is not None and image.size != asked:
                    raise NotAPictureError(f"a picture of {image.size} where {asked} was asked for")
                if max(image.size) > longest_px or not 0 < image.width * image.height <= AREA_PX_MAX:
                    raise NotAPictureError(f"a picture of {image.size}")
                image.load()
                yield image
    except TROUBLE as error:
        raise NotAPictureError(f"what is no picture ({error!r:.200})") from error
