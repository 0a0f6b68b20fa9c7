"""What a classifier has to do, and the part that any ONNX file needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gpu_worker.engine.calls import Picture  # it loads torch, which the bot's looker does without

__all__ = ["Classifier", "Scores", "open_session"]

THREADS = 2
"""It runs beside the drawing, which must not wait for it."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Certainties, 0 to 1."""

    nude: float
    suggestive: float = 0.0


class Classifier(Protocol):
    name: str

    def scores(self, picture: Picture) -> Scores:
        """Of uint8 [height, width, 3], RGB. Called from several threads. May raise anything."""
        ...


def open_session(file: Path) -> Any:
    """An onnxruntime session on the processor. Raises whatever onnxruntime makes of the file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(str(file), sess_options=options, providers=["CPUExecutionProvider"])
