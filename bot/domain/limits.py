"""What one user may ask for. Servers will set their own; these are the values of a new installation."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True)
class Limits:
    """Sizes are of the picture as drawn first (`max_side_px`, `max_pixels`) or after a second pass (`…_upscaled…`)."""

    max_prompt_chars: int = 6000
    """The longest string option Discord sends; a style may add as much again, and `{prompt}` several times."""
    max_expanded_chars: int = 18_000
    max_side_px: int = 2048
    max_pixels: int = 1536 * 1536
    max_upscaled_side_px: int = 4096
    max_upscaled_pixels: int = 2048 * 2048
    max_tiled_pixels: int = 4096 * 4096
    """After a second pass in tiles."""
    max_ultimate_side_px: int = 8192
    """After Ultimate SD upscale, which holds no more of a picture in the card's memory than a tile."""
    max_steps: int = 150
    max_cfg_scale: float = 30.0
    max_clip_skip: int = 12
    max_hires_scale: float = 4.0
    max_picture_bytes: int = 20 * 2**20
    """Of an uploaded picture's file."""
    max_picture_pixels: int = 4096 * 4096
    """Of an uploaded picture, before it is brought to the size of the drawing; the worker decodes no larger ones."""
    max_count: int = 4
    max_queued_per_user: int = 10
    max_script_cells: int = 100
    """Pictures of one grid."""
    max_styles_per_user: int = 100
    max_styles_per_server: int = 200
    max_variation_path: int = 16
    """Variations of variations; each step of the path costs the worker one more noise."""


DEFAULT_LIMITS = Limits()
