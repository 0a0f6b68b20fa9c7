"""The parameters' text in a picture's file, and which files are opened at all. Without torch: a reader of its own uses
it (gpu_worker.read_picture)."""

from __future__ import annotations

from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

__all__ = ["FORMATS", "LIMIT_BYTES", "LIMIT_PIXELS", "TROUBLE", "UNICODE", "infotext_in"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
LIMIT_BYTES = 64 * 1024 * 1024
LIMIT_PIXELS = 4096 * 4096
TROUBLE = (
    UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError, ValueError,
    SyntaxError, EOFError, OverflowError, MemoryError, KeyError, TypeError, IndexError,
)  # fmt: skip
"""What Pillow raises for files that are broken, or hostile."""

UNICODE = b"UNICODE\0"
_STEPS = "Steps: "
"""Tells in which byte order another program wrote its infotext."""


def infotext_in(image: Image.Image) -> str | None:
    """A UserComment that is not empty wins over a PNG's text, as in A1111."""
    text: Any = image.info.get("parameters")
    comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if comment:
        return _user_comment(comment) or (None if text is None else str(text))
    if "exif" not in image.info and isinstance(said := image.info.get("comment"), bytes):
        return said.decode("utf-8", "ignore") or (None if text is None else str(text))
    return None if text is None else str(text)


def _user_comment(comment: bytes | str) -> str:
    """Eight bytes name the encoding; A1111 and its kin write UTF-16 in the order of EXIF's "MM", some write UTF-8."""
    if isinstance(comment, str):
        return comment.removeprefix("UNICODE\0").removeprefix("ASCII\0\0\0")
    code, body = comment[:8], comment[8:]
    if code == UNICODE:
        big = body.decode("utf-16-be", "replace")
        little = body.decode("utf-16-le", "replace")
        return little if _STEPS in little and _STEPS not in big else big
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        return body.decode("utf-8", "replace")
    return comment.decode("utf-8", "ignore")
