"""One axis of a plot: how its values are read, checked, shown and applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from bot.domain.plots import checking
from bot.domain.plots.applying import Apply
from bot.domain.plots.checking import Check, PlotContext
from gpu_worker.language.plots import Kind, Value, read_values

__all__ = ["NOTHING", "AxisType", "Needs"]

NOTHING = "Nothing"
Needs = Literal["hires", "hires or picture", "picture", "variation", "refiner", "control", "lora"]
"""What a request must have for an axis to mean something."""
Shown = Literal["labelled", "bare", "base name", "joined", "empty"]


@dataclass(frozen=True)
class AxisType:
    name: str
    kind: Kind
    apply: Apply
    check: Check = checking.anything
    cost: float = 0.0
    """Of going from one value to the next, as A1111 has it: 1 loads a checkpoint."""
    needs: Needs | None = None
    unit: int = 0
    """The control unit that it is about, from 0."""
    shown: Shown = "labelled"
    choices: Callable[[PlotContext], Sequence[str]] | None = None
    """Names that its values are picked from."""
    rank: int = 1
    """Axes are applied in this order, and those of one rank as x, y, z: what replaces a setting goes before what
    changes a part of it."""
    adds: bool = False
    """Two axes may be of this type, since the second goes on from what the first left."""
    empty: bool = False
    """An empty value means something."""

    def read(self, text: str, most: int) -> list[Value]:
        """The values as they were typed. Raises ValuesError."""
        return [0] if self.name == NOTHING else read_values(self.kind, text, most)

    def label(self, value: Value) -> str:
        """Of a value as `read` gives it (behaviours §14.6)."""
        if self.shown == "empty":
            return ""
        if self.shown == "joined":
            return ", ".join(cast("tuple[str, ...]", value))
        if self.shown == "base name":
            return str(value).replace("\\", "/").rpartition("/")[2]
        plain = str(round(value, 8) if isinstance(value, float) else value)
        return plain if self.shown == "bare" else f"{self.name}: {plain}"
