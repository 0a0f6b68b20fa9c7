"""Where in a picture each part of an `AND` counts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gpu_worker.protocol.specs.base import Wire

__all__ = ["REGIONS_MAX", "Region", "Regions"]

REGIONS_MAX = 16
Cells = Annotated[float, Field(gt=0, le=1000)]
Place = Annotated[float, Field(ge=0, le=1000)]


class Region(Wire):
    """A rectangle in cells of a grid, as Latent Couple reckons (behaviours §18): with these numbers, and not with
    shares, its corners are rounded to the same latent cells at every size."""

    rows: Cells = 1.0
    columns: Cells = 1.0
    """How many cells the picture is high and wide."""
    top: Place = 0.0
    bottom: Place = 1.0
    left: Place = 0.0
    right: Place = 1.0
    weight: float = Field(default=1.0, ge=-10, le=10)
    """Share of the part's own prediction inside; outside is none of it."""


class Regions(Wire):
    """Region i is that of part i of the prompt's `AND`. Parts beyond the list count everywhere, superfluous regions
    nowhere."""

    areas: tuple[Region, ...] = Field(min_length=1, max_length=REGIONS_MAX)
    end_step: int = Field(default=20, ge=0, le=150)
    """From this step of each pass on, counted from 0, all parts count everywhere; 0 never has regions count."""
    loras_apart: bool = False
    """A part's `<lora:…>` changes that part alone; those of a part whose region is the whole picture change all."""
