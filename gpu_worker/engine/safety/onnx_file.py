"""Any image classifier as an ONNX file in `models/safety`, beside a JSON file that says how to feed and read it.

    {"size": 224, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "layout": "NCHW", "scale": 255,
     "activation": "softmax", "labels": ["normal", "nsfw"], "nude": ["nsfw"], "suggestive": []}

`size` is the input's side, `scale` what pixel values are divided by before mean and std; `activation` is `softmax`,
`sigmoid` or `none` (the file's last layer is one already).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gpu_worker.engine.safety.classifier import Scores, open_session

if TYPE_CHECKING:
    from gpu_worker.engine.calls import Picture

__all__ = ["OnnxClassifier", "Sheet"]

Three = tuple[float, float, float]


class Sheet(BaseModel):
    """What the JSON file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=16, le=2048)
    mean: Three = (0.5, 0.5, 0.5)
    std: Three = (0.5, 0.5, 0.5)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    scale: float = Field(default=255.0, gt=0)
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    labels: tuple[str, ...] = Field(min_length=1)
    nude: tuple[str, ...] = Field(min_length=1)
    suggestive: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known_labels(self) -> Sheet:
        unknown = {*self.nude, *self.suggestive} - {*self.labels}
        if unknown:
            raise ValueError(f"no such labels: {sorted(unknown)}")
        if not all(self.std):
            raise ValueError("a std of 0")
        return self


class OnnxClassifier:
    def __init__(self, weights: Path) -> None:
        """Raises OSError without the JSON file, pydantic.ValidationError, and what onnxruntime makes of the weights."""
        self.name = weights.stem
        self._sheet = Sheet.model_validate_json(weights.with_suffix(".json").read_bytes())
        self._session = open_session(weights)
        self._input: str = self._session.get_inputs()[0].name

    def scores(self, picture: Picture) -> Scores:
        sheet = self._sheet
        small = Image.fromarray(picture).resize((sheet.size, sheet.size), Image.Resampling.BICUBIC)
        pixels = np.asarray(small, np.float32) / np.float32(sheet.scale)
        pixels = (pixels - np.array(sheet.mean, np.float32)) / np.array(sheet.std, np.float32)
        if sheet.layout == "NCHW":
            pixels = pixels.transpose(2, 0, 1)
        (output, *_) = self._session.run(None, {self._input: np.ascontiguousarray(pixels[None])})
        values = _activated(np.asarray(output, np.float64).reshape(-1), sheet.activation)
        if values.size != len(sheet.labels) or not np.isfinite(values).all():
            raise ValueError(f"{self.name} gives {values.size} values for {len(sheet.labels)} labels")
        found = dict(zip(sheet.labels, np.clip(values, 0, 1).tolist(), strict=True))
        # Shares of one whole add up; independent ones do not.
        join = sum if sheet.activation == "softmax" else max
        nude = min(1.0, join([found[label] for label in sheet.nude]))
        return Scores(nude, min(1.0, join([found[label] for label in sheet.suggestive] or [0.0])))


def _activated(values: np.ndarray, activation: str) -> np.ndarray:
    if activation == "softmax":
        raised = np.exp(values - values.max())
        return raised / raised.sum()
    return 1 / (1 + np.exp(-values)) if activation == "sigmoid" else values
