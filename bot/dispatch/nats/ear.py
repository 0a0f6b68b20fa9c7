"""How much of a machine is listened to: one that says more than any honest one is heard in part."""

from __future__ import annotations

import time
from collections.abc import Callable

from gpu_worker.protocol.nats.pieces import Joiner

__all__ = ["BURST_BYTES", "Ear"]

BYTES_A_SECOND = 2**20
"""Previews of eight cards are half of it."""
BURST_BYTES = 64 * 2**20
"""Where a link is back, each card says hello, and names thousands of models."""
MESSAGE_BYTES = 2048
"""What one costs beside its length: it is unpacked, checked and handled."""
LARGE_BYTES = 64 * 1024
LARGE_COSTS = 4
"""Times: a list of a hundred thousand things that say nothing holds up everybody for half a second."""
BEGUN_MAX = 16
"""Messages in pieces; a machine's cards send theirs side by side."""


class Ear:
    """Of a machine, for all its cards: who has a key can call itself a hundred of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room, self._at = float(BURST_BYTES), clock()
        self._joiner = Joiner(BEGUN_MAX)

    def hears(self, worker: str, data: bytes) -> bytes | None:
        """A whole message with its last piece. Raises ValueError for what is too much now."""
        now = self._clock()
        self._room = min(BURST_BYTES, self._room + (now - self._at) * BYTES_A_SECOND)
        self._at = now
        cost = len(data) * (LARGE_COSTS if len(data) > LARGE_BYTES else 1) + MESSAGE_BYTES
        if cost > self._room:
            raise ValueError("it says more than any worker has to say")
        self._room -= cost
        return self._joiner.add(data, worker)
