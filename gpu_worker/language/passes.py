"""Sizes and steps of the passes that follow a first one: hires fix, img2img, repeated enlarging. Pure arithmetic.

Source: behaviours §8 (hires fix), §9.2 (steps and strength), §20 (upscalers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["HiresTarget", "Img2ImgSteps", "UpscalePlan", "hires_target", "img2img_steps", "upscale_plan"]

CELL_PX = 8
"""A latent cell covers this many pixels each way."""
OLD_FIRST_PASS_AREA_PX = 512 * 512
OLD_FIRST_PASS_MULTIPLE_PX = 64
STRENGTH_MAX = 0.999
"""A strength of 1 counts as this, so that the first noise level is never passed over."""
UPSCALES_MAX = 3
"""A model enlarges at most this often in a row."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class HiresTarget:
    """The sizes of a hires fix. Widths and heights in pixels; the latent is the size // 8."""

    first_pass: Size
    upscale_to: Size
    """To this the first pass is enlarged, not rounded to eights."""
    truncate_latent: tuple[int, int]
    """Latent cells to cut off in x and y afterwards; `cut` says at which sides."""
    resize: Size | None
    """The asked size; None where a factor was asked. The infotext names the one or the other."""

    @property
    def final(self) -> Size:
        """The size of the finished picture: whole latent cells, after the cut."""
        return tuple(
            (side // CELL_PX - cut) * CELL_PX for side, cut in zip(self.upscale_to, self.truncate_latent, strict=True)
        )  # pyright: ignore[reportReturnType]

    @property
    def cut(self) -> tuple[int, int, int, int]:
        """Cells to cut at the left, top, right and bottom: the floor of the half comes first."""
        x, y = self.truncate_latent
        return x // 2, y // 2, x - x // 2, y - y // 2


def hires_target(
    width: int, height: int, scale: float, resize_width: int = 0, resize_height: int = 0, *, old: bool = False
) -> HiresTarget:
    """Where a hires fix leads from a first pass of `width` x `height` (both at least 1).

    A size in pixels goes before `scale`; with one of its sides 0 that side follows the aspect, with both given the
    picture covers the size and the excess is cut off. `old` is A1111's `use_old_hires_fix_width_height`: width and
    height are the final size and the first pass is smaller.
    """
    if old:
        resize_width, resize_height = width, height
        width, height = _old_first_pass(width, height)
    if not resize_width and not resize_height:
        return HiresTarget((width, height), (int(width * scale), int(height * scale)), (0, 0), None)
    resize = (resize_width, resize_height)
    if not resize_height:
        target = (resize_width, resize_width * height // width)
        return HiresTarget((width, height), target, (0, 0), resize)
    if not resize_width:
        target = (resize_height * width // height, resize_height)
        return HiresTarget((width, height), target, (0, 0), resize)
    if width / height < resize_width / resize_height:
        target = (resize_width, resize_width * height // width)
    else:
        target = (resize_height * width // height, resize_height)
    cut = ((target[0] - resize_width) // CELL_PX, (target[1] - resize_height) // CELL_PX)
    return HiresTarget((width, height), target, cut, resize)


@dataclass(frozen=True)
class Img2ImgSteps:
    """Which part of which schedule an img2img pass runs."""

    schedule_steps: int
    """The schedule is made for this many."""
    t_enc: int
    """Timestep samplers start here: they run `timesteps[:t_enc]`."""

    @property
    def slice_start(self) -> int:
        """Samplers in sigma space run `sigmas[slice_start:]`. Negative only for a strength of 0 with exact steps."""
        return self.schedule_steps - self.t_enc - 1

    @property
    def intervals(self) -> int:
        """Steps that a sampler in sigma space makes: one more than `t_enc`."""
        return self.t_enc + 1


def img2img_steps(steps: int, strength: float, exact: bool, explicit_steps: int | None = None) -> Img2ImgSteps:
    """How many of `steps` are run at `strength` (0 to 1).

    Else about `steps * strength`; with `exact`, or with `explicit_steps` (those of a hires pass, 0 meaning `steps`),
    just so many, the schedule being longer.
    """
    if not exact and explicit_steps is None:
        return Img2ImgSteps(steps, int(min(strength, STRENGTH_MAX) * steps))
    wanted = explicit_steps or steps
    schedule = int(wanted / min(strength, STRENGTH_MAX)) if strength > 0 else 0
    return Img2ImgSteps(schedule, wanted - 1)


@dataclass(frozen=True)
class UpscalePlan:
    """How a model of a fixed factor reaches a scale: run on each of `calls_on` in turn, then resized to `out`."""

    out: Size
    calls_on: tuple[Size, ...]


def upscale_plan(width: int, height: int, scale: float, factor: float) -> UpscalePlan:
    """`out` is the largest multiple of eight within `scale`; a model of factor 1 runs once."""
    out = (int(width * scale) // CELL_PX * CELL_PX, int(height * scale) // CELL_PX * CELL_PX)
    calls: list[Size] = []
    size = (width, height)
    while len(calls) < UPSCALES_MAX and (size[0] < out[0] or size[1] < out[1]):
        calls.append(size)
        larger = (int(size[0] * factor), int(size[1] * factor))
        if larger == size:
            break
        size = larger
    return UpscalePlan(out, tuple(calls))


def _old_first_pass(width: int, height: int) -> Size:
    scale = math.sqrt(OLD_FIRST_PASS_AREA_PX / (width * height))
    multiple = OLD_FIRST_PASS_MULTIPLE_PX
    return math.ceil(scale * width / multiple) * multiple, math.ceil(scale * height / multiple) * multiple
