"""Which pictures go into which part of an export, so that no part is larger than what Discord takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ENTRY_BYTES", "PART_BYTES", "Packed", "entry_name", "parts_of"]

ENTRY_BYTES = 1024
"""What a picture costs in a ZIP beside its own bytes: two headers with its name, and its line in the list."""
PART_BYTES = 4096
"""What a part costs beside its pictures."""


@dataclass(frozen=True, slots=True)
class Packed:
    """`index` is the picture's place among all of them; `fits` is False where it must be made smaller first."""

    index: int
    fits: bool


def parts_of(sizes: Sequence[int], part_bytes: int) -> list[list[Packed]]:
    """Pictures in their order, as many in a part as fit; one that is larger than a part has one to itself."""
    parts: list[list[Packed]] = []
    room = 0
    for index, size in enumerate(sizes):
        cost = size + ENTRY_BYTES
        fits = cost + PART_BYTES <= part_bytes
        if not parts or not fits or cost > room:
            parts.append([])
            room = part_bytes - PART_BYTES
        parts[-1].append(Packed(index, fits))
        room = room - cost if fits else 0
    return parts


def entry_name(day: str, prompt: str, seed: int, image_id: str, suffix: str) -> str:
    """A name that sorts by day and says what it shows, on every system; never longer than 120 characters."""
    words = re.sub(r"<[^>]*>", " ", prompt)
    said = re.sub(r"[^a-z0-9]+", "-", words.casefold()).strip("-")[:60].rstrip("-")
    return "_".join(part for part in (day, said, str(seed), image_id) if part) + suffix
