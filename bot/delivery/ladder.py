"""The upload ladder: PNG, else lossless WebP, else JPEG, always with the infotext inside.

The limit is never a constant: it comes with each interaction or from the guild, and a refusal (413, 40005) lowers it.
"""

from __future__ import annotations

import enum
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image as Pillow

__all__ = ["DEFAULT_LIMIT_BYTES", "REQUEST_LIMIT_BYTES", "Rung", "Upload", "climb_down"]

DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024
"""Discord's per-attachment default; used only where neither interaction nor guild says more."""
REQUEST_LIMIT_BYTES = 25 * 1024 * 1024
"""All attachments of one request together (PLATFORM.md, messages and files)."""
_REQUEST_MARGIN_BYTES = 64 * 1024
JPEG_QUALITIES = (95, 90, 82, 70, 50)
USER_COMMENT = 0x9286


class Rung(enum.IntEnum):
    PNG = 0
    WEBP = 1
    JPEG = 2
    NOTHING = 3
    """Too large even as JPEG: the original goes by direct message or stays on the operator's disk."""


@dataclass(frozen=True, slots=True)
class Upload:
    data: bytes
    suffix: str


def climb_down(originals: Sequence[bytes], infotexts: Sequence[str], limit_bytes: int) -> tuple[Rung, list[Upload]]:
    """All pictures on the first rung where each fits the limit and all together fit a request. CPU-bound: off the loop.

    `originals` are our own PNG files.
    """
    room = REQUEST_LIMIT_BYTES - _REQUEST_MARGIN_BYTES
    uploads = [Upload(data, ".png") for data in originals]
    if _fits(uploads, limit_bytes, room):
        return Rung.PNG, uploads
    uploads = [_webp(data, text) for data, text in zip(originals, infotexts, strict=True)]
    if _fits(uploads, limit_bytes, room):
        return Rung.WEBP, uploads
    for quality in JPEG_QUALITIES:
        uploads = [_jpeg(data, text, quality) for data, text in zip(originals, infotexts, strict=True)]
        if _fits(uploads, limit_bytes, room):
            return Rung.JPEG, uploads
    return Rung.NOTHING, []


def _fits(uploads: Sequence[Upload], limit_bytes: int, room: int) -> bool:
    return all(len(u.data) <= limit_bytes for u in uploads) and sum(len(u.data) for u in uploads) <= room


def _exif(infotext: str) -> bytes:
    """EXIF UserComment as A1111 writes it for JPEG and WebP: `UNICODE`, a NUL, UTF-16BE (behaviours §22.4)."""
    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[USER_COMMENT] = b"UNICODE\0" + infotext.encode("utf-16-be")
    return exif.tobytes()


def _webp(png: bytes, infotext: str) -> Upload:
    out = io.BytesIO()
    with Pillow.open(io.BytesIO(png), formats=("PNG",)) as image:
        image.convert("RGB").save(out, "WEBP", lossless=True, method=4, exif=_exif(infotext))
    return Upload(out.getvalue(), ".webp")


def _jpeg(png: bytes, infotext: str, quality: int) -> Upload:
    out = io.BytesIO()
    with Pillow.open(io.BytesIO(png), formats=("PNG",)) as image:
        image.convert("RGB").save(out, "JPEG", quality=quality, optimize=True, exif=_exif(infotext))
    return Upload(out.getvalue(), ".jpg")
