"""What a request must have for an axis to change anything: said at once, not seen in a grid of equal pictures."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.lora_tags import loras_of
from bot.domain.plots.axis_type import AxisType
from bot.domain.plots.lora_axes import LORA
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import Img2Img, JobSpec, Txt2Img

__all__ = ["require_needs"]


def require_needs(axis: AxisType, base: JobSpec, others: Sequence[str], letter: str) -> None:
    """`others` are the names of all axes, which may bring what the base lacks.

    Raises UserFacingError: `plot_needs_hires`, `plot_needs_picture`, `plot_needs_hires_or_picture`,
    `plot_needs_variation`, `plot_needs_refiner`, `plot_needs_control`, `plot_needs_lora`.
    """
    hires = isinstance(base, Txt2Img) and base.hires is not None
    picture = isinstance(base, Img2Img)
    there = {
        "hires": (hires, "plot_needs_hires"),
        "picture": (picture, "plot_needs_picture"),
        "hires or picture": (hires or picture, "plot_needs_hires_or_picture"),
        "variation": (bool(base.variations) or "Var. strength" in others, "plot_needs_variation"),
        "refiner": (base.refiner is not None or "Refiner checkpoint" in others, "plot_needs_refiner"),
        "lora": (bool(loras_of(base.prompt)) or not {LORA, "Prompt S/R"}.isdisjoint(others), "plot_needs_lora"),
        "control": (axis.unit < len(base.control), "plot_needs_control"),
    }
    met, key = there[axis.needs] if axis.needs is not None else (True, "")
    if not met:
        raise UserFacingError(key, axis=f"{letter}, {axis.name}", unit=axis.unit + 1)
