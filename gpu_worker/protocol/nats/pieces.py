"""Messages that are larger than the broker takes, in pieces. Order is kept by the broker; a lost piece loses its whole
message, as one may be lost anyway."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gpu_worker.protocol.frames import FRAME_LIMIT_BYTES
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES

__all__ = ["Joiner", "pieces"]

_HEAD = struct.Struct(">BIHH")
_VERSION = 1
PIECES_MAX = FRAME_LIMIT_BYTES // CHUNK_BYTES + 1
BEGUN_MAX = 4


def pieces(body: bytes, number: int) -> Sequence[bytes]:
    """`number` tells the sender's messages from each other. Raises ValueError for what is over the limit."""
    if len(body) > FRAME_LIMIT_BYTES:
        raise ValueError(f"a message of {len(body)} bytes is over the limit of {FRAME_LIMIT_BYTES}")
    parts = [body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)] or [b""]
    return [_HEAD.pack(_VERSION, number & 0xFFFFFFFF, n, len(parts)) + part for n, part in enumerate(parts)]


class Joiner:
    """Puts messages together again."""

    def __init__(self, begun_max: int = BEGUN_MAX) -> None:
        """`begun_max`: as many messages as may come side by side."""
        self._begun: dict[tuple[str, int], list[bytes]] = {}
        """Pieces by their sender and its message's number."""
        self._begun_max = begun_max

    def add(self, data: bytes, sender: str = "") -> bytes | None:
        """The whole message with its last piece; None before that, and for what does not continue it."""
        if len(data) < _HEAD.size:
            return None
        version, number, n, of = _HEAD.unpack_from(data)
        part = data[_HEAD.size :]
        if version != _VERSION or not 0 < of <= PIECES_MAX or n >= of or len(part) > CHUNK_BYTES:
            return None
        key = sender, number
        parts = self._begun.pop(key, []) if n else []
        if n != len(parts):
            return None
        parts.append(part)
        if n + 1 == of:
            return b"".join(parts)
        self._begun[key] = parts
        if len(self._begun) > self._begun_max:
            self._begun.pop(next(iter(self._begun)))
        return None
