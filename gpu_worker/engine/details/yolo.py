"""YOLOv8 for files of weights, as its authors' library saves detectors and what finds outlines besides.

Every layer's size stands in its weights, so one description serves all sizes from n to x. The numbers of the layers
are those of the published configuration: five steps down, two up, two down, and a head over three levels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.checkpoints.pickles import mapped_tensors
from gpu_worker.engine.details.boxes import Answer
from gpu_worker.engine.upscale.load import bad_model
from gpu_worker.language.headers import HeaderError
from gpu_worker.language.kinds import WRAPPERS, is_detector
from gpu_worker.language.module_pickles import class_names, clean_class_names
from gpu_worker.language.pickles import flat_tensors, read_pickled

__all__ = ["YoloV8", "load_yolo"]

NORM_EPSILON = 1e-3
STRIDES = (8, 16, 32)
BINS = 16
HEAD = "model.22."
POOL_PX = 5


class YoloV8:
    """On the CPU until it is moved."""

    def __init__(self, weights: Mapping[str, torch.Tensor], names: tuple[str, ...] = ()) -> None:
        """Raises KeyError, ValueError and RuntimeError where they are no YOLOv8's."""
        self.names = names
        self._weights = _folded(weights)
        self._finds_outlines = f"{HEAD}proto.cv3" in self._weights
        if self._weights[f"{HEAD}cv2.0.2"][0].shape[0] != 4 * BINS:
            raise ValueError("a head with other bins")

    def to(self, device: torch.device) -> None:
        self._weights = {name: (w.to(device), b.to(device)) for name, (w, b) in self._weights.items()}

    def look(self, pixels: Picture) -> Answer:
        """`pixels` [h, w, 3], RGB; sides are multiples of 32."""
        device = self._weights["model.0"][0].device
        x = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).to(device)[None].float() / 255
        levels = self._levels(x)
        rows = torch.cat([self._head(level, at) for at, level in enumerate(levels)], dim=1).cpu().numpy()
        if not self._finds_outlines:
            return Answer(rows)
        raised = self._conv(f"{HEAD}proto.cv1", levels[0])
        weight, bias = self._weights[f"{HEAD}proto.upsample"]
        raised = functional.conv_transpose2d(raised, weight, bias, stride=2)
        shapes = self._conv(f"{HEAD}proto.cv3", self._conv(f"{HEAD}proto.cv2", raised))
        return Answer(rows, shapes[0].cpu().numpy())

    def _levels(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self._conv("model.1", self._conv("model.0", x, 2), 2)
        x = self._block("model.2", x, around=True)
        fine = self._block("model.4", self._conv("model.3", x, 2), around=True)
        middle = self._block("model.6", self._conv("model.5", fine, 2), around=True)
        x = self._block("model.8", self._conv("model.7", middle, 2), around=True)
        coarse = self._pooled("model.9", x)
        middle = self._block("model.12", torch.cat([_twice(coarse), middle], dim=1))
        fine = self._block("model.15", torch.cat([_twice(middle), fine], dim=1))
        middle = self._block("model.18", torch.cat([self._conv("model.16", fine, 2), middle], dim=1))
        coarse = self._block("model.21", torch.cat([self._conv("model.19", middle, 2), coarse], dim=1))
        return [fine, middle, coarse]

    def _conv(self, name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight, bias = self._weights[name]
        return functional.silu(functional.conv2d(x, weight, bias, stride, weight.shape[-1] // 2))

    def _block(self, name: str, x: torch.Tensor, around: bool = False) -> torch.Tensor:
        """C2f: half of it goes through bottlenecks, each of which stays in the answer."""
        parts = list(self._conv(f"{name}.cv1", x).chunk(2, dim=1))
        number = 0
        while f"{name}.m.{number}.cv1" in self._weights:
            inner = self._conv(f"{name}.m.{number}.cv2", self._conv(f"{name}.m.{number}.cv1", parts[-1]))
            parts.append(parts[-1] + inner if around else inner)
            number += 1
        return self._conv(f"{name}.cv2", torch.cat(parts, dim=1))

    def _pooled(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """SPPF: what lies around a cell, three times as far."""
        parts = [self._conv(f"{name}.cv1", x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], POOL_PX, 1, POOL_PX // 2))
        return self._conv(f"{name}.cv2", torch.cat(parts, dim=1))

    def _branch(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """[n, cells]"""
        x = self._conv(f"{name}.1", self._conv(f"{name}.0", x))
        weight, bias = self._weights[f"{name}.2"]
        return functional.conv2d(x, weight, bias)[0].flatten(1)

    def _head(self, x: torch.Tensor, at: int) -> torch.Tensor:
        """[4 + classes + outlines, cells]: boxes as middle and size in pixels. Each of the four distances from a cell's
        middle to the box's edges is the mean of 16 bins (Li et al., "Generalized Focal Loss", 2020)."""
        height, width = x.shape[2:]
        bins = self._branch(f"{HEAD}cv2.{at}", x).view(4, BINS, -1).softmax(dim=1)
        steps = torch.arange(BINS, device=x.device, dtype=bins.dtype)
        left, top, right, bottom = (bins * steps[:, None]).sum(dim=1)
        rows = torch.arange(height, device=x.device).repeat_interleave(width) + 0.5
        columns = torch.arange(width, device=x.device).repeat(height) + 0.5
        box = torch.stack([columns + (right - left) / 2, rows + (bottom - top) / 2, left + right, top + bottom])
        parts = [box * STRIDES[at], self._branch(f"{HEAD}cv3.{at}", x).sigmoid()]
        if self._finds_outlines:
            parts.append(self._branch(f"{HEAD}cv4.{at}", x))
        return torch.cat(parts)


def load_yolo(path: Path, name: str) -> YoloV8:
    """Nothing in a pickle is executed. Raises EngineError `bad_model`."""
    try:
        weights, names = _read(path)
    except HeaderError as error:
        raise bad_model(path, repr(error), "detector", name, error.problem) from error
    except Exception as error:  # the readers raise whatever a damaged file leads them to
        if isinstance(error, MemoryError):
            raise
        raise bad_model(path, repr(error), "detector", name, "corrupt") from error
    if not is_detector(weights):
        raise bad_model(path, f"none of its {len(weights)} keys", "detector", name, "unknown_layout")
    try:
        return YoloV8(weights, names)
    except (KeyError, ValueError, RuntimeError) as error:
        raise bad_model(path, repr(error), "detector", name, "corrupt") from error


def _read(path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    if path.suffix.lower() == ".safetensors":
        from safetensors import safe_open

        file: Any
        with safe_open(str(path), framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        return weights, clean_class_names(json.loads(metadata.get("names", "[]")))
    pickled = read_pickled(path, networks=True)
    tensors = flat_tensors(pickled.content, WRAPPERS)
    return mapped_tensors(path, pickled, tensors), class_names(pickled.content)


def _folded(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of each convolution in float32, its batch norm folded into them where it has one."""
    made: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for key, value in weights.items():
        if not key.endswith(".weight") or value.dim() != 4:
            continue
        name, weight = key.removesuffix(".weight"), value.float().clone()
        bias = weights.get(f"{name}.bias")
        layer = name.removesuffix(".conv")
        if layer != name and f"{layer}.bn.weight" in weights:
            gain, shift, mean, spread = (
                weights[f"{layer}.bn.{part}"].float() for part in ("weight", "bias", "running_mean", "running_var")
            )
            gain = gain / (spread + NORM_EPSILON).sqrt()
            made[layer] = weight * gain[:, None, None, None], shift - mean * gain
        else:
            outputs = weight.shape[1] if layer.endswith("proto.upsample") else weight.shape[0]
            made[layer] = weight, torch.zeros(outputs) if bias is None else bias.float().clone()
    return made


def _twice(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
