"""In which order the cells of a plot are drawn (behaviours §14.5)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

__all__ = ["cell_index", "drawing_order", "loop_order"]

AXES = ("x", "y", "z")


def loop_order(costs: Sequence[float]) -> tuple[str, str]:
    """The outermost and the second loop for the costs of x, y and z.

    The one axis that costs most is outermost, the costlier of the others second; between equals z goes before y, and y
    before x.
    """
    x, y, z = costs
    if x > y and x > z:
        return ("x", "y") if y > z else ("x", "z")
    if y > x and y > z:
        return ("y", "x") if x > z else ("y", "z")
    return ("z", "x") if x > y else ("z", "y")


def cell_index(at: Sequence[int], sizes: Sequence[int]) -> int:
    """Where the cell of place (ix, iy, iz) is stored."""
    return at[0] + at[1] * sizes[0] + at[2] * sizes[0] * sizes[1]


def drawing_order(sizes: Sequence[int], costs: Sequence[float]) -> Iterator[tuple[int, int, int]]:
    """Every place (ix, iy, iz), the costliest axis changing least often."""
    outer, second = (AXES.index(name) for name in loop_order(costs))
    loops = outer, second, 3 - outer - second
    for at in itertools.product(*(range(sizes[axis]) for axis in loops)):
        place = dict(zip(loops, at, strict=True))
        yield place[0], place[1], place[2]
