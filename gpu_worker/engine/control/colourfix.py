"""`tile_colorfix` and `tile_colorfix+sharp`: colours and brightness stay those of the control picture (§17.2).

Beside what its model leads, each answer's coarse part gives way to that of the picture as a latent; `+sharp` blurs what
the negative prompt answers a little, which guidance turns into sharpness. Numbers are those of sd-webui-controlnet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from gpu_worker.engine.calls import Call, EncodeCall
from gpu_worker.engine.control.units import ControlMap
from gpu_worker.engine.state import ModelState
from gpu_worker.language.preprocessors import PreprocessorEntry, find_preprocessor

__all__ = ["colour_fixed", "colour_fixing", "with_originals"]

_FIX = "tile_colorfix"
_SHARP = "+sharp"
_SHARPNESS = 0.01


def colour_fixing(maps: Sequence[ControlMap]) -> tuple[ControlMap, ...]:
    return tuple(each for each in maps if _entry(each) is not None and each.original is not None)


def with_originals(maps: Sequence[ControlMap], state: ModelState) -> Generator[Call, Any, tuple[ControlMap, ...]]:
    """Those that fix colours get their picture as a latent of the size of their part."""
    made: list[ControlMap] = []
    for each in maps:
        if _entry(each) is not None and each.original is None:
            picture = (each.pixels[0].clamp(0, 1) * 255).round().numpy().astype(np.uint8).transpose(1, 2, 0)
            original = yield EncodeCall([np.ascontiguousarray(picture)], state)
            each = dataclasses.replace(each, original=original)
        made.append(each)
    return tuple(made)


def colour_fixed(x0: torch.Tensor, maps: Sequence[ControlMap], *, negative: bool) -> torch.Tensor:
    """`x0` is what one text answers without its noise, [n, c, h, w]; `negative`: it is the negative prompt's."""
    for each in maps:
        entry, unit = _entry(each), each.opened.unit
        if entry is None or entry.a is None or each.original is None or each.original.shape[2:] != x0.shape[2:]:
            continue
        reach = int(entry.a.bounded(unit.threshold_a)) * (2 if each.opened.second else 1)
        fixed = x0 - _blurred(x0, reach) + _blurred(each.original.to(x0), reach)
        if negative and entry.b is not None:
            sharp = entry.b.bounded(unit.threshold_b) * _SHARPNESS
            fixed = sharp * _blurred(fixed, reach) + (1 - sharp) * fixed
        weight = min(max(unit.weight, 0.0), 1.0)
        x0 = fixed * weight + x0 * (1 - weight)
    return x0


def _entry(each: ControlMap) -> PreprocessorEntry | None:
    entry = find_preprocessor(each.opened.unit.preprocessor)
    return entry if entry is not None and entry.name in (_FIX, _FIX + _SHARP) else None


def _blurred(planes: torch.Tensor, reach: int) -> torch.Tensor:
    padded = functional.pad(planes, (reach, reach, reach, reach), mode="replicate")
    return functional.avg_pool2d(padded, reach * 2 + 1, stride=1)
