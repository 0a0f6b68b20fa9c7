"""Scripts: requests that are drawn as grids of many pictures. bot/domain/scripts/base.py says what one is."""

from __future__ import annotations

from bot.domain.scripts.base import Cell, Expanded, GridLayout, Script, Title, TitlePart
from bot.domain.scripts.matrix import Matrix
from bot.domain.scripts.plot import Plot

__all__ = ["Cell", "Expanded", "GridLayout", "Matrix", "Plot", "Script", "ScriptSpec", "Title", "TitlePart"]

ScriptSpec = Matrix | Plot
"""Every script that a job may be (a union, told apart by `kind`)."""
