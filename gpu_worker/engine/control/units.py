"""A control unit on its way into a pass: found and opened, then brought to the size of the latent, then asked.

Weights of the outputs by mode: behaviours §17.4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.control.maps import brought_to, pixel_perfect_resolution
from gpu_worker.engine.control.network import ControlModel
from gpu_worker.engine.control.preprocess import INPAINT, Preprocess, preprocess, shows, softens_hires
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.images.geometry import fit, resample
from gpu_worker.engine.images.inpaint import PreparedInpaint
from gpu_worker.protocol.specs import ControlType, ControlUnit

__all__ = ["ControlMap", "OpenedUnit", "at_resolution", "cut_out", "output_weights", "placed_units"]

Size = tuple[int, int]
Box = tuple[int, int, int, int]

_LATENT_PX = 8
"""Of every family; T2I adapters reckon with it."""
_SOFT_BASE, _SOFT_FROM = 0.825, 12
_SOFT_T2I = (0.25, 0.62, 0.825, 1.0)
_TYPES: tuple[ControlType, ...] = (
    "OpenPose", "Depth", "Soft Edge", "Hard Edge", "Normal Map", "Segmentation", "Tile", "Inpaint",
)  # fmt: skip
"""In the order in which union models (xinsir's ProMax) count them; earlier ones end with the sixth."""


@dataclass(frozen=True, eq=False)
class OpenedUnit:
    """A unit with its model borrowed and its pictures read."""

    unit: ControlUnit
    model: ControlModel
    picture: Picture | None
    """None: the one that the img2img starts from."""
    mask: Picture | None
    """uint8 [h, w]."""
    second: bool = False
    """It leads the second pass of a hires fix."""
    preprocess: Preprocess = preprocess

    @property
    def on_cond_alone(self) -> bool:
        return self.unit.mode == "ControlNet is more important" or self.averages

    @property
    def averages(self) -> bool:
        """Shuffle models say what, not where."""
        pooled = getattr(self.model.loaded.network.config, "global_pool_conditions", False)
        return bool(pooled) or (self.model.loaded.kind != "t2i" and "shuffle" in self.model.name.casefold())

    def weights(self, outputs: int) -> tuple[float, ...]:
        soft = self.unit.mode != "Balanced" or (self.second and softens_hires(self.unit.preprocessor))
        return output_weights(self.unit.weight, outputs, soft=soft, t2i=self.model.loaded.kind == "t2i")

    def type_index(self) -> int:
        """For union models. Raises EngineError `bad_input`: `control_type` where nothing says it, `control_type_absent`
        for one that this model was not trained on."""
        wanted = self.unit.control_type or shows(self.unit.preprocessor)
        detail = {"controlnet": self.model.name}
        if wanted is None:
            raise EngineError("bad_input", f"{self.model.name}: which type?", {**detail, "reason": "control_type"})
        index = _TYPES.index(wanted)
        if index >= self.model.loaded.network.config.num_control_type:
            detail |= {"reason": "control_type_absent", "type": wanted}
            raise EngineError("bad_input", f"{self.model.name}: no {wanted}", detail)
        return index


@dataclass(frozen=True, eq=False)
class ControlMap:
    """A unit at the size of a pass."""

    opened: OpenedUnit
    pixels: torch.Tensor
    """[1, 3, h, w], float32 on the CPU: from 0 to 1, -1 where inpainting hides it."""
    where: torch.Tensor | None
    """How far it leads each pixel: [1, 1, h, w], float32; None is everywhere in full."""
    type_index: int = 0
    original: torch.Tensor | None = None
    """The picture as a latent, [1, c, h, w], for those that fix colours (colourfix.py)."""
    features: list[torch.Tensor] = field(default_factory=list)
    """Of a T2I adapter, which sees no steps: computed once."""

    def counts(self, done: float) -> bool:
        """By the share of the steps that lie behind."""
        return self.opened.unit.start <= done <= self.opened.unit.end


def output_weights(weight: float, outputs: int, *, soft: bool, t2i: bool) -> tuple[float, ...]:
    """Of each output, the middle block's last."""
    if not soft:
        return (weight,) * outputs
    if t2i:
        return tuple(weight * factor for factor in _SOFT_T2I[:outputs])
    return tuple(weight * _SOFT_BASE ** (_SOFT_FROM - at) for at in range(outputs))


def placed_units(
    units: Sequence[OpenedUnit], height: int, width: int, canvas: PreparedInpaint | None = None
) -> tuple[ControlMap, ...]:
    """For a latent of `height` x `width` cells; `canvas` is an img2img's. Raises EngineError `bad_input`."""
    return tuple(_placed(opened, height, width, canvas) for opened in units)


def cut_out(maps: Sequence[ControlMap], box: Box, whole: Size) -> tuple[ControlMap, ...]:
    """The part (left, top, right, bottom) of a picture of the size `whole` which is drawn by itself."""

    def cut(planes: torch.Tensor) -> torch.Tensor:
        across, along = planes.shape[3] / whole[0], planes.shape[2] / whole[1]
        left, top, right, bottom = round(box[0] * across), round(box[1] * along), box[2] * across, box[3] * along
        return planes[:, :, top : round(bottom), left : round(right)]

    return tuple(
        dataclasses.replace(
            each,
            pixels=cut(each.pixels),
            where=None if each.where is None else cut(each.where),
            features=[],
            original=None,
        )
        for each in maps
    )


def _placed(opened: OpenedUnit, height: int, width: int, canvas: PreparedInpaint | None) -> ControlMap:
    loaded = opened.model.loaded
    index = opened.type_index() if loaded.kind == "union" else 0
    cell = _LATENT_PX if loaded.kind == "t2i" else loaded.pixels
    target = width * cell, height * cell
    seen, mask = _seen(opened, canvas)
    made = _detected(opened, seen, target)
    inpaints = opened.unit.preprocessor in INPAINT
    if inpaints and mask is not None:
        hidden = np.where(resample(mask, made.shape[1], made.shape[0]) > 127, 255, 0).astype(np.uint8)
        made = np.dstack([made, hidden])
    made = brought_to(made, *target, opened.unit.resize_mode)
    where = None
    if mask is not None and not inpaints:
        reach = np.dstack([mask] * 3)
        where = brought_to(reach, *target, opened.unit.resize_mode)[..., 0].astype(np.float32) / 255
    return ControlMap(opened, _tensor(made), None if where is None else torch.from_numpy(where)[None, None], index)


def at_resolution(unit: ControlUnit, size: Size, target: Size) -> ControlUnit:
    """With the resolution that holds for a picture of `size`: pixel perfect is reckoned."""
    if not unit.pixel_perfect:
        return unit
    perfect = max(64, pixel_perfect_resolution(size, target, unit.resize_mode))
    return unit.model_copy(update={"processor_resolution": perfect})


def _detected(opened: OpenedUnit, picture: Picture, target: Size) -> Picture:
    unit = at_resolution(opened.unit, (picture.shape[1], picture.shape[0]), target)
    return opened.preprocess(unit.preprocessor, picture, unit)


def _seen(opened: OpenedUnit, canvas: PreparedInpaint | None) -> tuple[Picture, Picture | None]:
    """The picture that the preprocessor sees and its mask of the same size, cut as the img2img cuts its own."""
    picture, mask = opened.picture, opened.mask
    own = canvas.mask if canvas is not None else None
    if picture is None:
        assert canvas is not None, "asked when the order was made"
        picture = canvas.picture
        if mask is None and own is not None and opened.unit.preprocessor in INPAINT:
            mask = own.drawn
        elif mask is not None and own is not None and own.region is not None:
            mask = _cut(mask, own.overlay.shape[:2], own.region, own.drawn.shape[:2])
    elif own is not None and own.region is not None:
        picture = _cut(picture, own.overlay.shape[:2], own.region, own.drawn.shape[:2])
        mask = _cut(mask, own.overlay.shape[:2], own.region, own.drawn.shape[:2]) if mask is not None else None
    if mask is None and own is not None and opened.unit.preprocessor in INPAINT:
        mask = own.drawn
    return picture, resample(mask, picture.shape[1], picture.shape[0]) if mask is not None else None


def _cut(picture: Picture, whole: tuple[int, ...], region: Box, drawn: tuple[int, ...]) -> Picture:
    left, top, right, bottom = region
    full = fit(picture, whole[1], whole[0], "Crop and resize")
    return fit(full[top:bottom, left:right], drawn[1], drawn[0], "Resize and fill")


def _tensor(made: Picture) -> torch.Tensor:
    values: Floats = np.divide(made[..., :3], 255, dtype=np.float32)
    if made.shape[2] > 3:
        values[made[..., 3] > 127] = -1
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
