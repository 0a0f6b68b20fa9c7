"""Cells of a script (a plot, a prompt matrix) that one worker draws side by side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gpu_worker.protocol.specs.base import Wire
from gpu_worker.protocol.specs.drawings import JobSpec

__all__ = ["SHEET_CELLS_MAX", "Sheet"]

SHEET_CELLS_MAX = 16


class Sheet(Wire):
    """Each cell is a whole request of one picture. What they have in common (LoRAs, size, control) shares batches."""

    kind: Literal["sheet"] = "sheet"
    cells: tuple[JobSpec, ...] = Field(min_length=1, max_length=SHEET_CELLS_MAX)
    """In the order in which they are drawn; each has `count` 1, and all have one checkpoint."""
    places: tuple[int, ...] = ()
    """Where each cell sits in its script's grid (`ix + iy * columns + iz * columns * rows`), for the bot alone."""

    @property
    def checkpoint(self) -> str:
        return self.cells[0].checkpoint

    @model_validator(mode="after")
    def _one_picture_each_of_one_checkpoint(self) -> Sheet:
        if any(cell.count != 1 for cell in self.cells):
            raise ValueError("a cell is one picture")
        if len({cell.checkpoint for cell in self.cells}) > 1:
            raise ValueError("the cells of a sheet have one checkpoint")
        if len(self.places) not in (0, len(self.cells)):
            raise ValueError(f"{len(self.places)} places for {len(self.cells)} cells")
        return self
