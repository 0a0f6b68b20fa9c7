"""The preprocessors by name, with their weights: what the units of a job and `/preprocess` ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.maps import resized_for_detection, unpadded
from gpu_worker.engine.control.preprocessors.annotators import Annotators
from gpu_worker.engine.control.preprocessors.depth import DEPTHS
from gpu_worker.engine.control.preprocessors.depth_anything import DEPTH_ANYTHING
from gpu_worker.engine.control.preprocessors.edges import EDGES
from gpu_worker.engine.control.preprocessors.look import Look, Maker
from gpu_worker.engine.control.preprocessors.manga_lines import MANGA_LINES
from gpu_worker.engine.control.preprocessors.plain import PLAIN
from gpu_worker.engine.control.preprocessors.pose import POSES
from gpu_worker.engine.control.preprocessors.segments import SEGMENTS
from gpu_worker.engine.control.preprocessors.teed import TEED
from gpu_worker.engine.control.preprocessors.whole_bodies import WHOLE_BODIES
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.models import ModelFile
from gpu_worker.language.preprocessors import PreprocessorEntry, find_preprocessor
from gpu_worker.protocol.specs import ControlUnit

__all__ = ["MAKERS", "NETWORK_MAX_PIXELS", "Preprocessors"]

MAKERS: dict[str, Maker] = {
    **PLAIN, **EDGES, **TEED, **MANGA_LINES, **DEPTHS, **DEPTH_ANYTHING, **POSES, **WHOLE_BODIES, **SEGMENTS,
}  # fmt: skip
NETWORK_MAX_PIXELS = 4096 * 2048
"""What a network looks at: the resolution is that of the shorter side, and pictures may be very long."""


class Preprocessors:
    """`models` names what is there now. Not thread-safe, like all of the engine."""

    def __init__(self, models: Callable[[], Sequence[ModelFile]], device: Device) -> None:
        self._annotators = Annotators(models, device)

    def clear(self) -> None:
        self._annotators.clear()

    def check(self, name: str) -> PreprocessorEntry:
        """Before anything else is done for a job. Raises EngineError `bad_input` (`preprocessor`) for a name that
        nothing here knows, `missing_model` (`annotator`, the reason `no_annotator`) for one that lacks a file."""
        entry = find_preprocessor(name)
        if entry is None or entry.name not in MAKERS:
            detail = {"preprocessor": name, "reason": "preprocessor"}
            raise EngineError("bad_input", f"no preprocessor {name}", detail)
        self._annotators.found(entry)
        return entry

    def preprocess(self, name: str, picture: Picture, unit: ControlUnit, seed: int = 0) -> Picture:
        """The map, uint8 [h, w, 3]. `unit.processor_resolution` holds, pixel perfect or not; `seed` is what those that
        draw lots go by. Raises what `check` does, `bad_model`, `oom`, and `bad_input` out of bounds."""
        entry = self.check(name)
        files = self._annotators.found(entry)
        a = entry.a.bounded(unit.threshold_a) if entry.a else 0.0
        b = entry.b.bounded(unit.threshold_b) if entry.b else 0.0
        make = MAKERS[entry.name]
        size = picture.shape[1], picture.shape[0]
        if entry.resolution is None:
            return make(Look(picture, size, a, b, files, self._annotators, seed))
        resolution = unit.processor_resolution
        if files:
            _bounded(picture, max(resolution, entry.sees_px))
        seen, size = resized_for_detection(picture, resolution)
        return unpadded(make(Look(seen, size, a, b, files, self._annotators, seed)), size)


def _bounded(picture: Picture, resolution: int) -> None:
    short, long = sorted(picture.shape[:2])
    if resolution * resolution * long / short > NETWORK_MAX_PIXELS:
        detail = {"reason": "source_picture", "limit_px": NETWORK_MAX_PIXELS}
        raise EngineError("bad_input", f"{picture.shape} at {resolution} is too long for a network", detail)
