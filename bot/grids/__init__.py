"""Grids of pictures with their titles, as A1111 draws them (behaviours §14.6). Everything here blocks: off the loop."""

from __future__ import annotations

from bot.grids.drawing import draw_grid

__all__ = ["draw_grid"]
