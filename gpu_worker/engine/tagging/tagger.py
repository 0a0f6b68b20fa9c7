"""Taggers of the WD14 layout (SmilingWolf's, and every ONNX file built alike), run on the processor by onnxruntime.

Input: float32 (N, side, side, 3), BGR, 0..255, the picture on a white square; some exports put the channels first.
Output: one probability a tag, in the order of the table beside the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.tagging.table import CHARACTER, GENERAL, TagRow, read_table
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.results import Description, Tag

__all__ = ["Taggers"]

LOADED_MAX = 1
USUAL_SIDE_PX = 448
TAGS_MAX = 200
"""Of each category, the surest."""


class _Loaded:
    def __init__(self, file: ModelFile) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.rows = read_table(file.path)
        try:
            self.session: Any = onnxruntime.InferenceSession(
                str(file.path), sess_options=options, providers=["CPUExecutionProvider"]
            )
            entry = self.session.get_inputs()[0]
        except Exception as error:  # onnxruntime has a class of exceptions for each kind of damage
            raise EngineError("bad_model", f"{file.path}: {error!r}", _about(file, "corrupt")) from error
        shape = [side if isinstance(side, int) else 0 for side in entry.shape]
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise EngineError("bad_model", f"{file.path} takes {entry.shape}", _about(file, "unknown_layout"))
        self.name: str = entry.name
        self.first = shape[3] != 3
        """Whether the channels come before the sides."""
        self.side = (shape[2] if self.first else shape[1]) or USUAL_SIDE_PX


class Taggers:
    """Not thread-safe, like all of the engine. The one used last stays in memory until its file changes."""

    def __init__(self) -> None:
        self._stamp: object = None
        self._loaded: _Loaded | None = None

    def clear(self) -> None:
        self._stamp, self._loaded = None, None

    def describe(
        self, picture: Picture, file: ModelFile, *, general: float, character: float, check: Callable[[], None]
    ) -> Description:
        """Tags from those probabilities on, surest first. Raises EngineError `bad_model`; `check` may raise."""
        stamp = (file.path, file.stamp)
        if self._loaded is None or self._stamp != stamp:
            self.clear()
            self._loaded, self._stamp = _Loaded(file), stamp
        loaded = self._loaded
        check()
        pixels = _pixels(picture, loaded.side)
        if loaded.first:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        try:
            scores = np.asarray(loaded.session.run(None, {loaded.name: pixels})[0], np.float32).reshape(-1)
        except Exception as error:
            raise EngineError("bad_model", f"{file.path}: {error!r}", _about(file, "corrupt")) from error
        if scores.size != len(loaded.rows) or not np.isfinite(scores).all():
            detail = _about(file, "bad_tags")
            raise EngineError("bad_model", f"{file.path}: {scores.size} numbers, {len(loaded.rows)} tags", detail)
        check()
        scores = np.clip(scores, 0, 1)
        return Description(
            general=_surest(loaded.rows, scores, GENERAL, general),
            character=_surest(loaded.rows, scores, CHARACTER, character),
        )


def _surest(rows: tuple[TagRow, ...], scores: np.ndarray, category: int, least: float) -> tuple[Tag, ...]:
    found = [
        (float(score), row.name)
        for row, score in zip(rows, scores.tolist(), strict=True)
        if row.category == category and score >= least
    ]
    found.sort(key=lambda one: (-one[0], one[1]))
    return tuple(Tag(name=name, score=score) for score, name in found[:TAGS_MAX])


def _pixels(picture: Picture, side: int) -> np.ndarray:
    """float32 (1, side, side, 3), BGR: the picture in the middle of a white square, as the taggers were trained."""
    height, width, _ = picture.shape
    longest = max(height, width)
    square = Image.new("RGB", (longest, longest), "white")
    square.paste(Image.fromarray(picture), ((longest - width) // 2, (longest - height) // 2))
    if longest != side:
        square = square.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(square, np.float32)[None, :, :, ::-1])


def _about(file: ModelFile, problem: str) -> dict[str, Any]:
    return {"tagger": file.fact.name, "problem": problem}
