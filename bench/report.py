"""Figures and how they are printed."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Figure", "as_json", "as_table", "share_at"]

Sense = Literal["<", "<=", "="]
_HOLDS = {"<": operator.lt, "<=": operator.le, "=": operator.eq}


@dataclass(frozen=True)
class Figure:
    """One measured value. Without a goal it is there to explain another one."""

    topic: str
    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    sense: Sense = "<"

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else bool(_HOLDS[self.sense](self.value, self.goal))


def share_at(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed (nearest rank); NaN where there are none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    rank = max(1, -(-len(ordered) * round(share * 1000) // 1000))
    return ordered[rank - 1]


def as_table(figures: Sequence[Figure]) -> str:
    rows = [("", "measured", "goal", "")]
    topic = ""
    for figure in figures:
        if figure.topic != topic:
            topic = figure.topic
            rows.append((topic, "", "", ""))
        goal = "" if figure.goal is None else f"{figure.sense.replace('=', '').strip() or ''} {_number(figure.goal)}"
        if figure.sense == "<=":
            goal = f"at most {_number(figure.goal or 0)}"
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        rows.append((f"  {figure.name}", f"{_number(figure.value)} {figure.unit}".strip(), goal.strip(), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows
    )


def _number(value: float) -> str:
    if value != value:
        return "–"
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def as_json(machine: Mapping[str, object], figures: Sequence[Figure]) -> str:
    """One object: `machine`, and `figures` with `met` true, false or null."""
    rows = [{**asdict(f), "value": None if f.value != f.value else f.value, "met": f.met} for f in figures]
    return json.dumps({"machine": dict(machine), "figures": rows}, indent=2)
