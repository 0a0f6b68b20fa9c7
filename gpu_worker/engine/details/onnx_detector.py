"""Detectors as ONNX files: YOLOv8's exports and what answers alike, run on the processor by onnxruntime."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.details.boxes import Answer
from gpu_worker.engine.upscale.load import bad_model
from gpu_worker.language.module_pickles import clean_class_names

__all__ = ["OnnxDetector"]

USUAL_SIDE_PX = 640
SIDE_MIN_PX, SIDE_MAX_PX = 32, 2048
NAMES_CHARS_MAX = 100_000
OUTLINES_MAX = 256
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxDetector:
    def __init__(self, path: Path, name: str) -> None:
        """Raises EngineError `bad_model`."""
        import onnxruntime

        self._path, self._name = path, name
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
            (entry, *others) = self._session.get_inputs()
            metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime has a class of exceptions for each kind of damage
            raise bad_model(path, repr(error), "detector", name, "corrupt") from error
        if others or entry.type not in _TYPES or len(entry.shape) != 4 or entry.shape[1] not in (3, None, "channels"):
            raise self._bad(f"takes {entry.type} {entry.shape}")
        self._type = _TYPES[entry.type]
        self._entry: str = entry.name
        self.height, self.width = (side if isinstance(side, int) else USUAL_SIDE_PX for side in entry.shape[2:])
        if not all(SIDE_MIN_PX <= side <= SIDE_MAX_PX for side in (self.height, self.width)):
            raise self._bad(f"takes {entry.shape}")
        self.names = _names(metadata.get("names", ""))

    def look(self, pixels: Picture) -> Answer:
        """`pixels` [height, width, 3], RGB. Raises EngineError `bad_model`."""
        batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(self._type) / self._type(255)
        try:
            answers = [np.asarray(one) for one in self._session.run(None, {self._entry: batch})]
        except Exception as error:  # as above
            raise bad_model(self._path, repr(error), "detector", self._name, "corrupt") from error
        rows = next((one for one in answers if one.ndim == 3 and one.shape[0] == 1), None)
        outlines = next((one for one in answers if one.ndim == 4 and one.shape[0] == 1), None)
        if rows is None or rows.dtype.kind != "f" or (outlines is not None and not _may_mix(outlines, pixels)):
            raise self._bad(f"gives {[one.shape for one in answers]}")
        return Answer(rows[0].astype(np.float32), None if outlines is None else outlines[0].astype(np.float32))

    def _bad(self, why: str) -> Exception:
        return bad_model(self._path, why, "detector", self._name, "unknown_layout")


def _may_mix(outlines: Any, pixels: Picture) -> bool:
    _, count, height, width = outlines.shape
    return (
        outlines.dtype.kind == "f"
        and 0 < count <= OUTLINES_MAX
        and 0 < height <= pixels.shape[0]
        and 0 < width <= pixels.shape[1]
    )


def _names(text: str) -> tuple[str, ...]:
    """As the exporter writes them, `{0: 'face'}`."""
    try:
        return clean_class_names(ast.literal_eval(text)) if 0 < len(text) <= NAMES_CHARS_MAX else ()
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return ()
