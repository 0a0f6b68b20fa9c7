"""Normal noise as CUDA draws it, on any device.

Philox 4x32-10: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011). Box-Muller as in cuRAND. PyTorch
gives each CUDA thread its own subsequence and four values a call, of which a tensor no larger than the launch grid uses
the first; so value i of call n comes from counter (n, 0, i, 0), whatever the card.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

__all__ = ["card_normals", "processor_normals"]

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF
_UNIT = np.float32(2.3283064e-10)
"""2**-32 as cuRAND writes it."""
_TURN = np.float32(2.3283064e-10 * 6.2831855)
_LOWER, _HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)
"""Where the halves of a 64-bit product lie when it is read as two numbers."""
_PART = 8192
"""Values worked on at a time: what a core keeps close."""

Values = np.ndarray[Any, np.dtype[np.float32]]


def processor_normals(seed: int, call: int, count: int) -> Values:
    """`count` standard normal values of one call (from 0) of a seed (0 to 2**64 - 1)."""
    values = np.empty(count, np.float32)
    for start in range(0, count, _PART):
        part = values[start : start + _PART]
        zero = np.zeros(len(part), np.uint32)
        index = np.arange(start, start + len(part), dtype=np.uint32)
        counter = [zero + np.uint32(call), zero, index, zero]
        for key in _keys(seed):
            left, right = (
                np.multiply(counter[at], np.uint64(multiplier), dtype=np.uint64).view(np.uint32).reshape(-1, 2)
                for at, multiplier in zip((0, 2), _MULTIPLIERS, strict=True)
            )
            counter = [
                right[:, _HIGH] ^ counter[1] ^ np.uint32(key[0]),
                right[:, _LOWER],
                left[:, _HIGH] ^ counter[3] ^ np.uint32(key[1]),
                left[:, _LOWER],
            ]
        u = counter[0].astype(np.float32) * _UNIT + _UNIT / 2
        v = counter[1].astype(np.float32) * _TURN + _TURN / 2
        part[:] = np.sqrt(np.float32(-2.0) * np.log(u)) * np.sin(v)
    return values


def card_normals(seeds: list[int], call: int, count: int, device: torch.device) -> torch.Tensor:
    """`processor_normals` of several seeds at once, float32 [seeds, count], worked out on the device.

    Equal up to the last digit, where a device has its own logarithm and sine.
    """
    zero = torch.zeros((1, 1), dtype=torch.int64, device=device)
    counter = [zero + call, zero, torch.arange(count, device=device).unsqueeze(0), zero]
    for keys in zip(*map(_keys, seeds), strict=True):
        first, second = torch.tensor(keys, dtype=torch.int64, device=device).T.unsqueeze(2)
        # Products wrap round in 64 bits; the shift copies the sign, which the mask takes off again.
        left, right = (counter[at] * multiplier for at, multiplier in zip((0, 2), _MULTIPLIERS, strict=True))
        counter = [
            (right >> 32 & _LOW) ^ counter[1] ^ first,
            right & _LOW,
            (left >> 32 & _LOW) ^ counter[3] ^ second,
            left & _LOW,
        ]
    u = counter[0].float() * float(_UNIT) + float(_UNIT / 2)
    v = counter[1].float() * float(_TURN) + float(_TURN / 2)
    return (-2.0 * u.log()).sqrt() * v.sin()


def _keys(seed: int) -> list[tuple[int, int]]:
    first, second = seed & _LOW, seed >> 32 & _LOW
    return [((first + n * _WEYL[0]) & _LOW, (second + n * _WEYL[1]) & _LOW) for n in range(_ROUNDS)]
