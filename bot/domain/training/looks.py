"""Pictures that look alike: how far apart two difference hashes are (64 bits, each whether a point of a grid of 9 × 8
grey values is darker than its right neighbour)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

__all__ = ["NEAR_BITS", "distance", "nearest"]

NEAR_BITS = 6
"""Bits by which two looks differ at most that are one picture saved, scaled or cut differently."""


class Looked(Protocol):
    @property
    def look(self) -> int: ...


T = TypeVar("T", bound=Looked)


def distance(one: int, other: int) -> int:
    """In bits, 0 to 64."""
    return (one ^ other).bit_count()


def nearest(look: int, others: Iterable[T], within_bits: int = NEAR_BITS) -> T | None:
    """What looks most like it, the first of several; None where nothing is as near as that."""
    best, found = within_bits + 1, None
    for other in others:
        if (apart := distance(look, other.look)) < best:
            best, found = apart, other
    return found
