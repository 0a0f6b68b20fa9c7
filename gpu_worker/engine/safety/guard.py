"""The classifier at work: a word on every finished picture, and no preview that shows what it would object to."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from gpu_worker.engine.safety.classifier import Classifier
from gpu_worker.language.classifiers import installed_classifier
from gpu_worker.protocol.safety import Looked

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PictureGuard", "find_classifier"]

log = logging.getLogger(__name__)

PREVIEW_NUDE = 0.2
"""A preview is blurred by the noise that is still in it, so less certainty is asked for."""
VEIL_CELLS = 12
"""A veiled preview has so many cells along its longer side: colours and movement, no body."""


class PictureGuard:
    """Every method may be called on any thread."""

    def __init__(self, name: str, load: Callable[[], Classifier]) -> None:
        """`load` is called once, at the first picture; where it raises, every picture counts as not looked at."""
        self.name = name
        self._load = load
        self._classifier: Classifier | None = None
        self._broken = False
        self._turn = threading.Lock()

    def look(self, data: bytes) -> Looked:
        """Of an encoded picture. Never raises."""
        try:
            scores = self._ready().scores(_pixels(data))
            return Looked(by=self.name, nude=scores.nude, suggestive=scores.suggestive)
        except Exception:
            log.exception("the classifier %s could not look at a picture", self.name)
            return Looked(by=self.name, failed=True)

    def veiled(self, preview: bytes) -> bytes:
        """The preview as it is, or as a few coloured cells where it is nude or could not be looked at."""
        looked = self.look(preview)
        return veil(preview) if looked.failed or looked.nude >= PREVIEW_NUDE else preview

    def _ready(self) -> Classifier:
        with self._turn:
            if self._broken:
                raise RuntimeError("it could not be loaded")
            if self._classifier is None:
                self._broken = True
                self._classifier = self._load()
                self._broken = False
            return self._classifier


def find_classifier(models_dir: Path) -> PictureGuard | None:
    """What is installed (gpu_worker.language.classifiers)."""
    found = installed_classifier(models_dir)
    if found is None:
        return None
    log.info("pictures are looked at by %s (%s)", found.name, found.weights)

    def load() -> Classifier:
        # Here, because numpy and onnxruntime may be missing where a classifier was installed.
        from gpu_worker.engine.safety.nudenet import NudeNet
        from gpu_worker.engine.safety.onnx_file import OnnxClassifier

        return OnnxClassifier(found.weights) if found.own else NudeNet(found.weights)

    return PictureGuard(found.name, load)


def veil(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as picture:
        small = picture.convert("RGB")
    scale = VEIL_CELLS / max(small.size)
    cells = small.resize(
        (max(1, round(small.width * scale)), max(1, round(small.height * scale))), Image.Resampling.BOX
    )
    target = io.BytesIO()
    cells.resize(small.size, Image.Resampling.NEAREST).save(target, "JPEG", quality=60)
    return target.getvalue()


def _pixels(data: bytes) -> np.ndarray:
    import numpy as np

    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
