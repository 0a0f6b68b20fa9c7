"""What a script is: a request that is drawn as a grid of many pictures, each a whole request of its own.

A script is stored as the task of one job in lane `script`, which no worker ever gets. Its cells are drawn by jobs of
its own (`Sheet`, bot/domain/scripts/sheets.py). Everything here is pure: the same script has the same cells, in the
same places, in every version that can read it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gpu_worker.protocol.specs import JobSpec, Wire

__all__ = ["Cell", "Expanded", "GridLayout", "Script", "Title", "TitlePart"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a grid."""

    index: int
    """Its place: `ix + iy * columns + iz * columns * rows`, each from 0."""
    spec: JobSpec
    """Complete, seeded, `count` 1, without `texts`: what draws this picture alone, now and years later."""
    note: str | None = None
    """What sets it apart, for people: "Steps 20, CFG 7". At most 100 characters are shown."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """All cells of a script, each place once, in the order in which they are drawn (behaviours §14.5)."""

    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class TitlePart:
    """One of the texts that stand below each other in a title; what is not active is grey and struck through."""

    text: str
    active: bool = True


Title = tuple[TitlePart, ...]


@dataclass(frozen=True, slots=True)
class GridLayout:
    """What a grid looks like. Titles are as many as columns, rows and pages, or none."""

    columns: int
    rows: int
    pages: int = 1
    """Grids of `columns` by `rows`, one for each value of the third axis. The whole grid has them side by side."""
    column_titles: tuple[Title, ...] = ()
    row_titles: tuple[Title, ...] = ()
    page_titles: tuple[Title, ...] = ()
    legend: bool = True
    """Titles are drawn."""
    margin_px: int = 0
    """Between cells; 0–500."""
    sub_grids: bool = False
    """Each page is sent as a picture of its own, too."""

    @property
    def places(self) -> int:
        return self.columns * self.rows * self.pages


class Script(Wire):
    """Base of all scripts. A new one is a file beside this: a subclass with its `kind` (a Literal with a default), its
    options, and the methods below; its class joins `ScriptSpec` in bot/domain/scripts/__init__.py, and what it is
    called stands in bot/i18n as `script.title.<kind>`.

    Everything that a name or a random number decides was decided before it was built: names are those of the model
    list, seeds are drawn. Texts that steer pictures are judged cell by cell, whatever their fields are called.
    """

    base: JobSpec
    """What every cell begins with; `count` 1."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many cells there are, by arithmetic alone: asked before anything is expanded."""

    @abstractmethod
    def expanded(self) -> Expanded:
        """May take some tenths of a second for hundreds of cells: not on the event loop."""

    @abstractmethod
    def layout(self) -> GridLayout: ...

    def reseeded(self, seed: int) -> Self:
        """The same with other pictures: every seed that was drawn is drawn anew from this one; what was asked for by
        number stays."""
        return self.model_copy(update={"base": self.base.model_copy(update={"seed": seed, "variations": ()})})

    @abstractmethod
    def fields(self, page: int | None) -> Mapping[str, str]:
        """What a grid's infotext has beside that of its first cell (`Script: …` first); `page` None is the whole
        grid, else the sub-grid of that page. Values are raw; they are quoted by whoever writes them."""
