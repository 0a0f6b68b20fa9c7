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
WEBP_MAX_PIXELS = 4096 * 4096
_WEBP_GAIN = 3
"""A PNG so many times over the limit is not brought under it without loss."""
JPEG_QUALITIES = (95, 90, 82, 70, 50)
USER_COMMENT = 0x9286
_JPEG_EXIF_BYTES = 65_533
"""All that one marker of a JPEG holds."""


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

    `originals` are our own PNG files. One picture at a time is decoded, and each once for all qualities. Large ones
    skip lossless WebP, which takes minutes of them and seldom halves a PNG.
    """
    room = REQUEST_LIMIT_BYTES - _REQUEST_MARGIN_BYTES
    uploads = [Upload(data, ".png") for data in originals]
    if _fits(uploads, limit_bytes, room):
        return Rung.PNG, uploads
    largest, together = max(map(len, originals)), sum(map(len, originals))
    near = largest <= _WEBP_GAIN * limit_bytes and together <= _WEBP_GAIN * room
    if near and all(_pixels(data) <= WEBP_MAX_PIXELS for data in originals):
        uploads = [_webp(data, text) for data, text in zip(originals, infotexts, strict=True)]
        if _fits(uploads, limit_bytes, room):
            return Rung.WEBP, uploads
    share = min(limit_bytes, room // max(1, len(originals)))
    found: list[Upload] = []
    for data, text in zip(originals, infotexts, strict=True):
        upload = _jpeg_within(data, text, share)
        if upload is None:
            return Rung.NOTHING, []
        found.append(upload)
    return Rung.JPEG, found


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


def _jpeg_within(png: bytes, infotext: str, limit_bytes: int) -> Upload | None:
    """At the best quality that fits; None where even the worst does not."""
    exif = _exif(infotext)
    if len(exif) > _JPEG_EXIF_BYTES:  # of a plot with thousands of words; the original has it
        exif = b""
    with Pillow.open(io.BytesIO(png), formats=("PNG",)) as image:
        # "optimize" keeps all of the file in a buffer as large as the picture.
        small = image.width * image.height <= WEBP_MAX_PIXELS
        whole = image.convert("RGB")
    for quality in JPEG_QUALITIES:
        out = io.BytesIO()
        whole.save(out, "JPEG", quality=quality, optimize=small, exif=exif)
        if out.tell() <= limit_bytes:
            return Upload(out.getvalue(), ".jpg")
    return None


def _pixels(png: bytes) -> int:
    with Pillow.open(io.BytesIO(png), formats=("PNG",)) as image:
        return image.width * image.height
