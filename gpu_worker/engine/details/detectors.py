"""The detectors by name, as a unit of detail fix asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.details.boxes import Found, canvas_of, read_answer
from gpu_worker.engine.details.masks import masks_of
from gpu_worker.engine.details.onnx_detector import OnnxDetector
from gpu_worker.engine.details.yolo import YoloV8, load_yolo
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.faces.restore import FaceRestorer
from gpu_worker.engine.images.masks import Mask8
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.upscale.load import Shelf, bad_model
from gpu_worker.language.detectors import CATALOGUE_DETECTORS, FACES, wanted_classes
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.specs import DetailFix

__all__ = ["Detectors"]

LOADED_MAX = 4
"""As many as a drawing has units."""
SIDE_PX, STEP_PX = 640, 32
"""What a file of weights sees: the longer side, and what both are multiples of."""
FACES_SURE = 0.6
"""The face detector counts everything that it has a doubt about; below this nothing is a face."""


class Detectors:
    """`models` names what is there now. Not thread-safe, like all of the engine."""

    def __init__(self, models: Callable[[], Sequence[ModelFile]], device: Device, faces: FaceRestorer) -> None:
        self._models = models
        self._device = device
        self._faces = faces
        self._shelf: Shelf[YoloV8 | OnnxDetector] = Shelf(LOADED_MAX)

    def clear(self) -> None:
        self._shelf.clear()
        free(self._device.torch_device)

    def check(self, unit: DetailFix) -> None:
        """Before anything is drawn. Raises EngineError `missing_model` (`detector`, and under `install` what the
        catalogue calls it), `bad_model`, and `bad_input` (`detector_classes`)."""
        if unit.model == FACES:
            self._faces.finder()
            return
        self._kinds(unit, self._borrow(unit.model))

    def masks(self, picture: Picture, unit: DetailFix, check: Callable[[], None]) -> list[Mask8]:
        """Of what the unit finds, in the order in which it is drawn. Raises what `check` does, and `oom`."""
        check()
        size = picture.shape[1], picture.shape[0]
        return masks_of(self._found(picture, size, unit), size, unit)

    def _found(self, picture: Picture, size: tuple[int, int], unit: DetailFix) -> list[Found]:
        try:
            if unit.model == FACES:
                faces = self._faces.finder()(picture, max(unit.confidence, FACES_SURE))
                return [Found(box, face.score, 0) for face in faces if (box := _within(face.box, size))]
            return self._looked(picture, size, unit)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = repr(error)
        # Outside the handler: the exception's frames would keep the failed tensors alive.
        self.clear()
        raise EngineError("oom", f"looking for details: {reason}", {"detector": unit.model})

    @torch.inference_mode()
    def _looked(self, picture: Picture, size: tuple[int, int], unit: DetailFix) -> list[Found]:
        detector = self._borrow(unit.model)
        kinds = self._kinds(unit, detector)
        sides = (detector.width, detector.height) if isinstance(detector, OnnxDetector) else _sides(*size)
        canvas = canvas_of(picture, *sides)
        if isinstance(detector, YoloV8):
            detector.to(self._device.torch_device)
        try:
            answer = detector.look(canvas.pixels)
        except (IndexError, TypeError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            # Weights whose sizes do not fit each other.
            raise bad_model(self._file(unit.model).path, repr(error), "detector", unit.model, "corrupt") from error
        finally:
            if isinstance(detector, YoloV8):
                detector.to(torch.device("cpu"))
        try:
            return read_answer(answer, canvas, size, unit.confidence, kinds)
        except ValueError as error:
            path = self._file(unit.model).path
            raise bad_model(path, repr(error), "detector", unit.model, "unknown_layout") from error

    def _kinds(self, unit: DetailFix, detector: YoloV8 | OnnxDetector) -> frozenset[int]:
        kinds = wanted_classes(unit.classes, detector.names)
        if kinds is None:
            detail = {"detector": unit.model, "reason": "detector_classes", "classes": ", ".join(detector.names)[:500]}
            raise EngineError("bad_input", f"{unit.model} does not know all of {unit.classes}", detail)
        return kinds

    def _borrow(self, name: str) -> YoloV8 | OnnxDetector:
        file = self._file(name)

        def load(path: object) -> YoloV8 | OnnxDetector:
            del path
            if file.weights.suffix.lower() == ".onnx":
                return OnnxDetector(file.weights, name)
            return load_yolo(file.weights, name)

        return self._shelf.borrow(file, "detector", load)

    def _file(self, name: str) -> ModelFile:
        file = next((m for m in self._models() if m.fact.kind == "detector" and m.fact.name == name), None)
        if file is None:
            detail = {"detector": name, "reason": "no_detector"}
            if name in CATALOGUE_DETECTORS:
                detail["install"] = CATALOGUE_DETECTORS[name]
            raise EngineError("missing_model", f"no detector {name}", detail)
        if file.fact.problem is not None:
            detail = {"detector": name, "problem": file.fact.problem}
            raise EngineError("bad_model", f"{file.path}: {file.fact.problem}", detail)
        return file


def _sides(width: int, height: int) -> tuple[int, int]:
    """The picture's shape, no side smaller than what the network steps by."""
    scale = SIDE_PX / max(width, height)
    across, along = (max(1, -(-round(side * scale) // STEP_PX)) * STEP_PX for side in (width, height))
    return across, along


def _within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    left, right = (min(max(at, 0.0), float(size[0])) for at in (box[0], box[2]))
    top, bottom = (min(max(at, 0.0), float(size[1])) for at in (box[1], box[3]))
    return (left, top, right, bottom) if right - left >= 1 and bottom - top >= 1 else None
