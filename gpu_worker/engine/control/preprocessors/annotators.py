"""Annotators by file name: found among the models, loaded when first needed, on the card only while they look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.upscale.load import Shelf
from gpu_worker.language.models import ModelFile
from gpu_worker.language.preprocessors import CATALOGUE_KEYS, PreprocessorEntry

__all__ = ["Annotators"]

SHELF_SIZE = 4
"""The whole of OpenPose is three."""

T = TypeVar("T")


class Annotators:
    """`models` names what is there now. Not thread-safe, like all of the engine."""

    def __init__(self, models: Callable[[], Sequence[ModelFile]], device: Device) -> None:
        self._models = models
        self.device = device
        self._shelf: Shelf[Any] = Shelf(SHELF_SIZE)

    def clear(self) -> None:
        self._shelf.clear()
        free(self.device.torch_device)

    def found(self, entry: PreprocessorEntry) -> dict[str, ModelFile]:
        """Its files by their published names. Raises EngineError `missing_model` with the reason `no_annotator`
        and, under `install`, what the catalogue calls all that are missing."""
        there: dict[str, ModelFile] = {}
        for file in self._models() if entry.files else ():
            if file.fact.kind == "annotator":
                there.setdefault(file.weights.stem.casefold(), file)
        missing = [name for name in entry.files if name.casefold() not in there]
        if missing:
            detail = {"annotator": missing[0], "reason": "no_annotator", "preprocessor": entry.name}
            if all(name in CATALOGUE_KEYS for name in missing):
                detail["install"] = " ".join(CATALOGUE_KEYS[name] for name in missing)
            raise EngineError("missing_model", f"{entry.name} needs the annotators {missing}", detail)
        return {name: there[name.casefold()] for name in entry.files}

    def borrow(self, file: ModelFile, load: Callable[[Path, str], T]) -> T:
        """Raises EngineError `missing_model`, `bad_model`."""
        made: T = self._shelf.borrow(file, "annotator", lambda path: load(path, file.fact.name))
        return made

    @contextlib.contextmanager
    def visiting(self, *networks: torch.nn.Module) -> Iterator[torch.device]:
        """The device that they are on. A picture is looked at once a job; a checkpoint needs the card all along."""
        target = self.device.torch_device
        try:
            for network in networks:
                network.to(target)
            yield target
        finally:
            if target.type != "cpu":
                for network in networks:
                    network.cpu()

    def looked(self, work: Callable[[torch.device], T], *networks: torch.nn.Module) -> T:
        """`work` on the device, or on the processor where that has no room. Raises EngineError `oom`."""
        target = self.device.torch_device
        try:
            with self.visiting(*networks), torch.inference_mode():
                return work(target)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if target.type == "cpu":
                raise EngineError("oom", f"a preprocessor: {error!r}", {"reason": "preprocessor"}) from error
        free(target)
        with torch.inference_mode():
            return work(torch.device("cpu"))
