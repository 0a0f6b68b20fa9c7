"""NudeNet's detector, whose package ships its weights; an optional extra, because that package's licence is the AGPL.

Only the weights are read, with onnxruntime: nothing of the package is imported. The network is a YOLOv8 of 320 pixels
a side: output [1, 4 + classes, boxes], of which the best score of each class is all that is needed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gpu_worker.engine.safety.classifier import Scores, open_session
from gpu_worker.language.classifiers import NUDENET

if TYPE_CHECKING:
    from gpu_worker.engine.calls import Picture

__all__ = ["NudeNet"]

SIDE_PX = 320
LABELS: tuple[str, ...] = (
    "FEMALE_GENITALIA_COVERED", "FACE_FEMALE", "BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED", "ANUS_EXPOSED", "FEET_EXPOSED", "BELLY_COVERED", "FEET_COVERED", "ARMPITS_COVERED",
    "ARMPITS_EXPOSED", "FACE_MALE", "BELLY_EXPOSED", "MALE_GENITALIA_EXPOSED", "ANUS_COVERED", "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)  # fmt: skip
NUDE = frozenset({
    "BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "ANUS_EXPOSED", "MALE_GENITALIA_EXPOSED",
})  # fmt: skip
SUGGESTIVE = frozenset({"FEMALE_GENITALIA_COVERED", "ANUS_COVERED", "BUTTOCKS_COVERED", "FEMALE_BREAST_COVERED"})


class NudeNet:
    name = NUDENET

    def __init__(self, weights: Path) -> None:
        self._session = open_session(weights)
        self._input: str = self._session.get_inputs()[0].name

    def scores(self, picture: Picture) -> Scores:
        height, width, _ = picture.shape
        # On a black square with the picture at its upper left, as the network was trained.
        canvas = Image.new("RGB", (max(height, width),) * 2)
        canvas.paste(Image.fromarray(picture), (0, 0))
        pixels = np.asarray(canvas.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR), np.float32) / 255
        (output, *_) = self._session.run(None, {self._input: pixels.transpose(2, 0, 1)[None]})
        best = np.asarray(output, np.float32)[0, 4:].max(axis=1)
        if best.shape != (len(LABELS),) or not np.isfinite(best).all():
            raise ValueError(f"these weights give {best.shape} classes")
        found = dict(zip(LABELS, np.clip(best, 0, 1).tolist(), strict=True))
        return Scores(max(found[name] for name in NUDE), max(found[name] for name in SUGGESTIVE))
