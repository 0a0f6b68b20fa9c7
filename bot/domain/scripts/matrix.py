"""The prompt matrix: every combination of the parts of a prompt (behaviours §15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from bot.domain.scripts.base import Cell, Expanded, GridLayout, Script, TitlePart
from gpu_worker.language.matrix import DELIMITERS, Legend, MatrixTexts, matrix_texts
from gpu_worker.protocol.specs import SEED_MAX

__all__ = ["Matrix"]


class Matrix(Script):
    """The side of `base` that `prompt_type` names holds `varied_text`, whose parts stand between `|`."""

    kind: Literal["matrix"] = "matrix"
    varied_text: str = ""
    """What stands around it (styles, LoRAs) is in every picture. Empty: the whole side."""
    prompt_type: Literal["positive", "negative"] = "positive"
    at_start: bool = False
    """Variable parts stand before the first one."""
    delimiter: Literal["comma", "space"] = "comma"
    different_seeds: bool = False
    """Picture i has seed+i, as in a job of several pictures."""
    margin_px: int = Field(default=0, ge=0, le=500)
    legend: bool = True

    @property
    def size(self) -> int:
        return 1 << self._text.count("|")

    def expanded(self) -> Expanded:
        found = self._found()
        return Expanded(tuple(self._cell(index, text, found) for index, text in enumerate(found.texts)))

    def layout(self) -> GridLayout:
        found = self._found()
        return GridLayout(
            found.columns,
            found.rows,
            column_titles=tuple(map(_title, found.column_titles)),
            row_titles=tuple(map(_title, found.row_titles)),
            legend=self.legend,
            margin_px=self.margin_px,
        )

    def fields(self, page: int | None) -> Mapping[str, str]:
        return {"Script": "Prompt matrix"}

    @property
    def _side(self) -> str:
        return self.base.prompt if self.prompt_type == "positive" else self.base.negative_prompt

    @property
    def _text(self) -> str:
        return self.varied_text or self._side

    def _found(self) -> MatrixTexts:
        return matrix_texts(
            self._text, delimiter=DELIMITERS[self.delimiter], at_start=self.at_start, most=max(1, self.size)
        )

    def _cell(self, index: int, text: str, found: MatrixTexts) -> Cell:
        whole = self._side.replace(self._text, text)
        update: dict[str, object] = {"prompt" if self.prompt_type == "positive" else "negative_prompt": whole}
        if self.different_seeds:
            update["seed"] = min(self.base.seed + index, SEED_MAX)
        column, row = index % found.columns, index // found.columns
        chosen = [part.strip() for part, on in (*found.column_titles[column], *found.row_titles[row]) if on]
        return Cell(index, self.base.model_copy(update=update), ", ".join(chosen) or None)


def _title(legend: Legend) -> tuple[TitlePart, ...]:
    return tuple(TitlePart(text, active=on) for text, on in legend)
