"""Default avatars: one plain square a colour, written as PNG without an imaging library."""

from __future__ import annotations

import struct
import zlib

__all__ = ["swatch_png"]

_COLOURS = (0x5865F2, 0x747F8D, 0x3BA55D, 0xE0A43C, 0xD9534F, 0xC05FA8)
_SIDE_PX = 64


def swatch_png(index: int) -> bytes:
    """A 64 px square of the index-th colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + _COLOURS[index % len(_COLOURS)].to_bytes(3, "big") * _SIDE_PX
    header = struct.pack(">IIBBBBB", _SIDE_PX, _SIDE_PX, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * _SIDE_PX))
        + chunk(b"IEND", b"")
    )
