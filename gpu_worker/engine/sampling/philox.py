"""Normal noise as CUDA draws it, on any device.

Philox 4x32-10: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011). Box-Muller as in cuRAND. PyTorch
gives each CUDA thread its own subsequence and four values a call, of which a tensor no larger than the launch grid uses
the first; so value i of call n comes from counter (n, 0, i, 0), whatever the card.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Philox"]

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)
_UNIT = np.float32(2.3283064e-10)
"""2**-32 as cuRAND writes it."""
_TURN = np.float32(2.3283064e-10 * 6.2831855)

Counters = np.ndarray[Any, np.dtype[np.uint64]]


class Philox:
    """The stream of one seed (0 to 2**64 - 1); each call of `normal` takes the next offset."""

    def __init__(self, seed: int) -> None:
        self._key = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)
        self._offset = 0

    def normal(self, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Standard normal values of `shape`, float32."""
        count = int(np.prod(shape))
        index = np.arange(count, dtype=np.uint64)
        zero = np.zeros(count, dtype=np.uint64)
        first, second = _rounds([zero + np.uint64(self._offset), zero, index, zero.copy()], self._key)
        self._offset += 1
        u = first.astype(np.float32) * _UNIT + _UNIT / 2
        v = second.astype(np.float32) * _TURN + _TURN / 2
        values = np.sqrt(np.float32(-2.0) * np.log(u)) * np.sin(v)
        return values.astype(np.float32).reshape(shape)


def _rounds(counter: list[Counters], key: tuple[int, int]) -> tuple[Counters, Counters]:
    keys = list(key)
    for _ in range(_ROUNDS):
        left, right = counter[0] * _MULTIPLIERS[0], counter[2] * _MULTIPLIERS[1]
        counter = [
            right >> _HIGH ^ counter[1] ^ np.uint64(keys[0]),
            right & _LOW,
            left >> _HIGH ^ counter[3] ^ np.uint64(keys[1]),
            left & _LOW,
        ]
        keys = [(keys[0] + _WEYL[0]) & 0xFFFFFFFF, (keys[1] + _WEYL[1]) & 0xFFFFFFFF]
    return counter[0], counter[1]
