"""A PNG reduced to its pixels, as they are compressed already: a tenth of the time of compressing them again."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

__all__ = ["AREA_PX_MAX", "bare_png"]

AREA_PX_MAX = 8192 * 8192

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">IIBBBBB")
_STEP_BYTES = 1 << 20
_PLAIN = (8, 2, 0, 0, 0)
"""Eight bits, three colours, the one compression and filter there is, not interlaced: what workers write."""


def bare_png(data: bytes, texts: Mapping[str, str]) -> bytes | None:
    """Header, `texts` by keyword, pixels, end: no palette, colour profile, animation or anything behind the end. None
    for what is no plain PNG of 8-bit RGB with as much in it as its size takes, which nothing can hide behind. Whether
    its pixels can be read is for a decoder to say."""
    head: bytes | None = None
    pixels: list[bytes] = []
    for kind, body in _chunks(data):
        if head is None:
            if kind != b"IHDR" or len(body) != _HEAD.size or _HEAD.unpack(body)[2:] != _PLAIN:
                return None
            head = body
        elif kind == b"IDAT":
            pixels.append(body)
        elif kind == b"IEND":
            parts = [(b"IHDR", head), *(_text(key, value) for key, value in texts.items())]
            parts += [*((b"IDAT", body) for body in pixels), (b"IEND", b"")]
            width, height, *_ = _HEAD.unpack(head)
            return _SIGNATURE + b"".join(_chunk(*part) for part in parts) if _fills(pixels, width, height) else None
        elif pixels and kind in (b"PLTE", b"IHDR"):
            return None
    return None


def _fills(pixels: list[bytes], width: int, height: int) -> bool:
    """One stream of just so many rows, and nothing behind it."""
    if not 0 < width * height <= AREA_PX_MAX:
        return False
    left, stream = height * (1 + 3 * width), zlib.decompressobj()
    try:
        for body in pixels:
            if stream.eof and body:
                return False
            while body:
                # One more than is left tells of too much.
                left -= len(stream.decompress(body, min(_STEP_BYTES, left + 1)))
                if left < 0:
                    return False
                body = stream.unconsumed_tail
    except zlib.error:
        return False
    return stream.eof and not stream.unused_data and left == 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """As far as they are whole."""
    if not data.startswith(_SIGNATURE):
        return
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return
        yield data[at + 4 : at + 8], data[at + 8 : end]
        at = end + 4


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _text(key: str, value: str) -> tuple[bytes, bytes]:
    """tEXt, or iTXt where it is not Latin-1, as Pillow and so every worker writes it."""
    name = key.encode("latin-1") + b"\0"
    try:
        return b"tEXt", name + value.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", name + b"\0\0\0\0" + value.encode("utf-8", "replace")
