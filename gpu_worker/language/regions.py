"""The words of the extension Latent Couple (two-shot) for regions, and what they say (behaviours §18)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from pydantic import ValidationError

from gpu_worker.language.networks import NETWORK_TAG, NetworkTag, parse_networks
from gpu_worker.language.schedule import AND
from gpu_worker.protocol.specs import REGIONS_MAX, Region, Regions

__all__ = [
    "DEFAULT_REGIONS", "END_STEP", "RegionSyntaxError", "is_whole", "networks_of_parts", "parse_regions", "read_params",
    "region_cells", "regions_of_params", "regions_text", "written",
]  # fmt: skip

DIVISIONS, POSITIONS, WEIGHTS, END_STEP = "1:1,1:2,1:2", "0:0,0:0,0:1", "0.2,0.8,0.8", 20
"""What the extension's fields hold at first: the whole picture, its left and its right half."""
TEXT_CHARS = 2000
T = TypeVar("T")
Span = tuple[float, float]


class RegionSyntaxError(ValueError):
    """`part` is what cannot be read, or which of the lists is too long; `problem` one of `grid`, `position`, `weight`,
    `step`, `many`, `long`."""

    def __init__(self, problem: str, part: str) -> None:
        super().__init__(f"{problem}: {part}")
        self.problem = problem
        self.part = part


def parse_regions(divisions: str, positions: str, weights: str) -> tuple[Region, ...]:
    """The extension's three fields; the shortest list decides. Raises RegionSyntaxError."""
    for text in (divisions, positions, weights):
        if len(text) > TEXT_CHARS:
            raise RegionSyntaxError("long", text[:20])
    # Every entry is read, as there, even one that no other stands beside.
    grids = [_pair(entry, "grid", _number) for entry in divisions.split(",")]
    places = [_pair(entry, "position", _span) for entry in positions.split(",")]
    shares = [_number(entry, "weight") for entry in weights.split(",")]
    if min(len(grids), len(places), len(shares)) > REGIONS_MAX:
        raise RegionSyntaxError("many", str(REGIONS_MAX))
    return tuple(_region(*found) for found in zip(grids, places, shares, strict=False))


def region_cells(region: Region, height: int, width: int) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right on a latent of `height` x `width`; None for a region that has no cell there."""
    down, across = height / region.rows, width / region.columns
    top, bottom = int(down * region.top), min(int(down * region.bottom), height)
    left, right = int(across * region.left), min(int(across * region.right), width)
    return (top, bottom, left, right) if top < bottom and left < right else None


def is_whole(region: Region) -> bool:
    """Whether nothing of the picture lies outside."""
    return region.top == region.left == 0 and region.bottom >= region.rows and region.right >= region.columns


def written(areas: Sequence[Region]) -> tuple[str, str, str]:
    """Divisions, positions and weights, as `parse_regions` reads them."""
    return (
        ",".join(f"{_said(each.rows)}:{_said(each.columns)}" for each in areas),
        ",".join(f"{_range(each.top, each.bottom)}:{_range(each.left, each.right)}" for each in areas),
        ",".join(_said(each.weight) for each in areas),
    )


def regions_text(regions: Regions) -> str:
    """The value of the infotext's key `Latent Couple`."""
    divisions, positions, weights = written(regions.areas)
    return f"divisions={divisions} positions={positions} weights={weights} end at step={regions.end_step}"


def read_params(text: str) -> tuple[str, str, str, str]:
    """Divisions, positions, weights and end step out of such a value; what is missing is the extension's default.
    Never raises."""
    words = (word.partition("=") for word in text.split(" "))
    found = {name: value for name, equals, value in words if equals}
    return (
        found.get("divisions", DIVISIONS), found.get("positions", POSITIONS), found.get("weights", WEIGHTS),
        found.get("step", str(END_STEP)),
    )  # fmt: skip


def regions_of_params(text: str) -> Regions:
    """Raises RegionSyntaxError."""
    divisions, positions, weights, step = read_params(text)
    if not re.fullmatch(r"[0-9]{1,9}", step):
        raise RegionSyntaxError("step", step)
    try:
        return Regions(areas=parse_regions(divisions, positions, weights), end_step=int(step))
    except ValidationError as error:
        raise RegionSyntaxError("step", step) from error


def networks_of_parts(prompt: str) -> tuple[tuple[NetworkTag, ...], ...]:
    """The tags in each part of an `AND`; as many parts as `split_and` makes of the prompt without tags."""
    clean, _ = parse_networks(prompt)
    ends = [found.end() for found in AND.finditer(clean)]
    parts: list[list[NetworkTag]] = [[] for _ in range(len(ends) + 1)]
    removed = 0
    for tag in NETWORK_TAG.finditer(prompt):
        place = tag.start() - removed
        parts[sum(end <= place for end in ends)] += parse_networks(tag[0])[1]
        removed += len(tag[0])
    return tuple(map(tuple, parts))


def _pair(entry: str, problem: str, read: Callable[[str, str], T]) -> tuple[T, T]:
    """`y:x`. Raises RegionSyntaxError."""
    parts = entry.split(":")
    if len(parts) != 2:
        raise RegionSyntaxError(problem, entry.strip())
    return read(parts[0], problem), read(parts[1], problem)


def _span(text: str, problem: str) -> tuple[float, float]:
    """`a-b`, or `a` for one cell from there."""
    numbers = [_number(part, problem) for part in text.split("-")]
    return (numbers[0], numbers[0] + 1) if len(numbers) == 1 else (numbers[0], numbers[1])


def _number(text: str, problem: str) -> float:
    try:
        number = float(text) if len(text) < 40 else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RegionSyntaxError(problem, text.strip()[:40])
    return number


def _region(grid: tuple[float, float], place: tuple[Span, Span], weight: float) -> Region:
    (top, bottom), (left, right) = place
    try:
        return Region(
            rows=grid[0], columns=grid[1], top=top, bottom=bottom, left=left, right=right, weight=weight
        )  # fmt: skip
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        problem = "weight" if field == "weight" else "grid" if field in ("rows", "columns") else "position"
        raise RegionSyntaxError(problem, f"{error.errors()[0]['input']:g}") from error


def _range(start: float, end: float) -> str:
    return _said(start) if end == start + 1 else f"{_said(start)}-{_said(end)}"


def _said(number: float) -> str:
    # Exactly, and without an exponent, whose minus would read as a range.
    return str(int(number)) if number == int(number) else f"{Decimal(repr(number)):f}"


DEFAULT_REGIONS = parse_regions(DIVISIONS, POSITIONS, WEIGHTS)
