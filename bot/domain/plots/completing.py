"""What the values of an axis can go on with while they are typed; whole values of an option, at most 100 characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.domain.plots.axes import AXES
from bot.domain.plots.axis_type import NOTHING, AxisType
from gpu_worker.language.plots import joined_values

__all__ = ["EXAMPLES", "axis_rows", "split_last", "value_rows"]

VALUE_CHARS = 100
EVERYTHING = "*"
USUAL = (
    "Steps", "CFG Scale", "Seed", "Sampler", "Prompt S/R", "Checkpoint name", "Schedule type", "Prompt order", "Styles",
    "Size", "Denoising", "Clip skip", "VAE", "Var. strength", "Hires upscaler", "Hires steps", "Refiner checkpoint",
    "[ControlNet] Weight", "[ControlNet] Model", "Eta", "RNG source", "Face restore", "Hires upscale", "Var. seed",
    "Refiner switch at",
)  # fmt: skip
"""What people plot, the most frequent first: what a list shows where nothing is typed."""
EXAMPLES: dict[str, tuple[str, ...]] = {
    "Steps": ("10, 20, 30", "10-40(+10)", "5-50[4]"),
    "CFG Scale": ("3, 5, 7, 9", "4-10(+2)", "1-12[4]"),
    "Seed": ("-1, -1, -1", "1-4"),
    "Var. seed": ("1-4", "-1, -1"),
    "Var. strength": ("0-1[5]", "0.1, 0.2, 0.4"),
    "Clip skip": ("1-2", "1-4"),
    "Denoising": ("0.2-0.8(+0.2)", "0.3, 0.5, 0.7"),
    "Hires steps": ("5, 10, 20",),
    "Hires upscale": ("1.5, 2",),
    "Eta": ("0-1[3]",),
    "Refiner switch at": ("0.6, 0.8",),
    "Size": ("512x512, 512x768, 768x512",),
}
_WEIGHTS = ("0-1.5(+0.5)", "0.4, 0.7, 1")

Rank = Callable[[str, Sequence[str]], list[str]]


def axis_rows(typed: str, rank: Rank) -> list[str]:
    if not typed.strip():
        return [*USUAL]
    return rank(typed, [axis.name for axis in AXES.values() if axis.name != NOTHING])


def split_last(typed: str) -> tuple[str, str]:
    """What stands before the last value, its comma included, and the beginning of that value."""
    quoted, cut = False, 0
    for at, sign in enumerate(typed):
        if sign == '"':
            quoted = not quoted
        elif sign == "," and not quoted:
            cut = at + 1
    return typed[:cut], typed[cut:].strip().removeprefix('"')


def value_rows(axis: AxisType | None, typed: str, names: Sequence[str], prompt: str, rank: Rank) -> list[str]:
    """`names` are what the axis may be; of texts of the prompt the first value is one of its parts."""
    if axis is None:
        return []
    head, last = split_last(typed)
    if axis.name in ("Prompt S/R", "Prompt order"):
        parts = [part.strip() for part in prompt.split(",") if part.strip()]
        names = parts if axis.kind == "order" or not head else []
    rows: list[str] = []
    if names:
        start = f"{head.rstrip()} " if head else ""
        rows = [start + joined_values([name]) for name in rank(last, names)]
        if not typed.strip() and axis.choices is not None:
            rows.insert(0, EVERYTHING)
    elif not typed.strip():
        rows = [*EXAMPLES.get(axis.name, _WEIGHTS if axis.name.endswith("Weight") else ())]
    # What is there now stays within reach of the return key.
    rows = [typed, *rows] if typed.strip() else rows
    return [row for row in dict.fromkeys(rows) if 0 < len(row) <= VALUE_CHARS]
