"""Framing on a byte stream: a 4-byte big-endian length, then one msgpack map."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from gpu_worker.protocol.specs import Wire

__all__ = ["FRAME_LIMIT_BYTES", "FrameError", "Unframer", "frame", "pack", "unpack"]

FRAME_LIMIT_BYTES = 4 * 1024 * 1024
"""Pictures travel as files or chunks, so no honest frame comes near this."""

_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """The stream is not ours or is damaged; the connection cannot be used further."""


def pack(message: Wire) -> bytes:
    body = message.model_dump(mode="python")
    return cast("bytes", msgpack.packb(body, use_bin_type=True))  # pyright: ignore[reportUnknownMemberType]


def unpack(data: bytes) -> dict[str, Any]:
    """Raises FrameError for anything but one map."""
    try:
        value = cast("object", msgpack.unpackb(data, raw=False, strict_map_key=True))  # pyright: ignore[reportUnknownMemberType]
    except Exception as error:
        raise FrameError("not msgpack") from error
    if not isinstance(value, dict):
        raise FrameError("not a map")
    return cast("dict[str, Any]", value)


def frame(message: Wire) -> bytes:
    body = pack(message)
    if len(body) > FRAME_LIMIT_BYTES:
        raise FrameError(f"frame of {len(body)} bytes is over the limit of {FRAME_LIMIT_BYTES}")
    return _LENGTH.pack(len(body)) + body


class Unframer:
    """Collects bytes and gives back whole maps, whatever the chunking."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_LIMIT_BYTES:
                raise FrameError(f"announced frame of {length} bytes is over the limit of {FRAME_LIMIT_BYTES}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield unpack(body)
