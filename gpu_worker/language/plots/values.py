"""The values of an axis (behaviours §14.2): a CSV text, in which numbers may be ranges.

    1-5         1, 2, 3, 4, 5          1-2(+0.5)   1, 1.5, 2
    1-5(+2)     1, 3, 5                0-1[5]      0, 0.25, 0.5, 0.75, 1
    "a, b",c    two texts, the first with a comma; a quote inside quotes is doubled; lines separate, too

Everything is counted before it is made, and no pattern reads more than `NUMBER_CHARS`, so a text costs what its
characters cost, whatever it asks for.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Sequence
from typing import Literal

__all__ = [
    "NUMBER_CHARS", "TEXT_CHARS", "Kind", "Value", "ValuesError", "ValuesProblem", "joined_values", "read_values",
    "split_values",
]  # fmt: skip

Kind = Literal["whole", "decimal", "text", "order"]
"""`order` is every permutation of the texts."""
Value = int | float | str | tuple[str, ...]
ValuesProblem = Literal["number", "many", "long"]

TEXT_CHARS = 6000
NUMBER_CHARS = 80
"""Of one value of numbers; a range of the longest ones that mean anything is shorter."""

_NUMBERS = {
    "whole": r"\s*([+-]?\s*\d+)\s*-\s*([+-]?\s*\d+)",
    "decimal": r"\s*([+-]?\s*\d+(?:\.\d*)?)\s*-\s*([+-]?\s*\d+(?:\.\d*)?)",
}
_STEP = {"whole": r"(?:\s*\(([+-]\d+)\s*\))?\s*", "decimal": r"(?:\s*\(([+-]\d+(?:\.\d*)?)\s*\))?\s*"}
_COUNT = r"\s*\[(\d+)\s*\]\s*"
_RANGE = {kind: re.compile(_NUMBERS[kind] + _STEP[kind]) for kind in _NUMBERS}
_COUNTED = {kind: re.compile(_NUMBERS[kind] + _COUNT) for kind in _NUMBERS}


class ValuesError(ValueError):
    """`text` is the value that cannot be read; of `many` it is what makes too many. What A1111 raised is the cause."""

    def __init__(self, problem: ValuesProblem, text: str = "") -> None:
        super().__init__(problem, text)
        self.problem: ValuesProblem = problem
        self.text = text


def split_values(text: str) -> list[str]:
    """The trimmed parts of a CSV text, whatever its quotes. Raises ValuesError (`long`)."""
    if len(text) > TEXT_CHARS:
        raise ValuesError("long")
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", ""))
    return [part.strip() for row in csv.reader(lines, skipinitialspace=True) for part in row]


def joined_values(parts: Sequence[str]) -> str:
    """What `split_values` reads as these again, if none begins or ends with white space."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(parts)
    return line.getvalue()


def read_values(kind: Kind, text: str, most: int) -> list[Value]:
    """At most `most` values. Empty texts are values, too; empty numbers are not.

    Raises ValuesError: those of `split_values`, `number`, `many`.
    """
    parts = split_values(text)
    if kind == "text":
        return _counted(parts, most)
    if kind == "order":
        if len(parts) > most or math.factorial(min(len(parts), 20)) > most:
            raise ValuesError("many", text[:NUMBER_CHARS])
        return [*itertools.permutations(parts)]
    found: list[Value] = []
    for part in parts:
        if part:
            found += _numbers(kind, part, most - len(found))
    return found


def _counted(parts: list[str], most: int) -> list[Value]:
    if len(parts) > most:
        raise ValuesError("many", parts[most][:NUMBER_CHARS])
    return [*parts]


def _numbers(kind: Literal["whole", "decimal"], text: str, room: int) -> list[int] | list[float]:
    if len(text) > NUMBER_CHARS:
        raise ValuesError("number", text[:NUMBER_CHARS])
    try:
        if found := _RANGE[kind].fullmatch(text):
            values = _stepped(kind, found, room)
        elif found := _COUNTED[kind].fullmatch(text):
            values = _spread(kind, found, room)
        else:
            values = [int(text)] if kind == "whole" else [float(text)]
    except ValuesError:
        raise ValuesError("many", text) from None
    except (ValueError, OverflowError) as error:
        raise ValuesError("number", text) from error
    if len(values) > room:
        raise ValuesError("many", text)
    if not all(map(math.isfinite, values)):
        raise ValuesError("number", text)
    return values


def _stepped(kind: Literal["whole", "decimal"], found: re.Match[str], room: int) -> list[int] | list[float]:
    if kind == "whole":
        first, last, step = _plain(found[1]), _plain(found[2]), int(found[3] or 1)
        steps = range(int(first), int(last) + 1, step)
        # `len` of a range has a limit of its own.
        if (steps.stop - steps.start) * (1 if step > 0 else -1) > room * abs(step):
            raise ValuesError("many")
        return [*steps]
    start, delta = float(_plain(found[1])), float(found[3] or 1)
    stop = float(_plain(found[2])) + delta
    length = (stop - start) / delta if delta else math.nan
    if math.isnan(length):
        raise ValueError("Maximum allowed size exceeded")
    count = max(0, math.ceil(min(length, room + 1)))
    if count > room:
        raise ValuesError("many")
    # numpy's arange: the step is the difference of the first two values.
    return [start + at * ((start + delta) - start) for at in range(count)]


def _spread(kind: Literal["whole", "decimal"], found: re.Match[str], room: int) -> list[int] | list[float]:
    first, last, count = float(_plain(found[1])), float(_plain(found[2])), int(found[3])
    if count > room:
        raise ValuesError("many")
    values = [first + at * ((last - first) / (count - 1)) if at else first for at in range(count)]
    if count > 1:
        values[-1] = last
    return [int(value) for value in values] if kind == "whole" else values


def _plain(number: str) -> str:
    """`- 3` is read as `-3`."""
    return "".join(number.split())
