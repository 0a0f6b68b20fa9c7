"""Scripts: requests that are drawn as grids of many pictures. bot/domain/scripts/base.py says what one is."""

from __future__ import annotations

from bot.domain.scripts.base import Cell, Expanded, GridLayout, Script, Title, TitlePart
from bot.domain.scripts.matrix import Matrix

__all__ = ["Cell", "Expanded", "GridLayout", "Matrix", "Script", "ScriptSpec", "Title", "TitlePart"]

ScriptSpec = Matrix
"""Every script that a job may be (a union, told apart by `kind`)."""
