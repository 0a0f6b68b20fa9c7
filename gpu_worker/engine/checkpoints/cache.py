"""Keeps the checkpoints that were used last loaded."""

from __future__ import annotations

import gc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.checkpoints.folder import load_folder, load_tokenizer
from gpu_worker.engine.checkpoints.single_file import load_single_file
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.models import ModelFile

__all__ = ["CheckpointCache"]

Stamp = tuple[str, int, int]


class CheckpointCache:
    """At most `limit` loaded checkpoints; the one unused longest goes first. A file that changed is loaded anew."""

    def __init__(self, device: Device, vocabulary: Path | None, limit: int) -> None:
        self._device = device
        self._vocabulary = vocabulary
        self._limit = limit
        self._loaded: OrderedDict[Stamp, Checkpoint] = OrderedDict()
        self._tokenizer: Any = None

    def holds(self, model: ModelFile) -> bool:
        return _stamp(model) in self._loaded

    def borrow(self, model: ModelFile) -> Checkpoint:
        """Loads it if needed; out of memory, it drops the others and tries once more. Raises EngineError."""
        stamp = _stamp(model)
        if stamp not in self._loaded:
            while len(self._loaded) >= self._limit:
                self._loaded.popitem(last=False)
            self._free()
            try:
                self._loaded[stamp] = self._load(model)
            except torch.OutOfMemoryError:
                self.clear()
                self._loaded[stamp] = self._load(model)
        self._loaded.move_to_end(stamp)
        return self._loaded[stamp]

    def clear(self) -> None:
        self._loaded.clear()
        self._free()

    def _load(self, model: ModelFile) -> Checkpoint:
        if model.path.is_dir():
            return load_folder(model.fact.name, model.path, self._device)
        if self._vocabulary is None:
            detail = {"checkpoint": model.fact.name, "problem": "no_tokenizer"}
            raise EngineError(
                "bad_model", "the demo checkpoint, whose CLIP vocabulary single files use, is gone", detail
            )
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._vocabulary)
        return load_single_file(model.fact.name, model.path, self._tokenizer, self._device)

    def _free(self) -> None:
        if self._device.is_cuda:
            gc.collect()
            torch.cuda.empty_cache()


def _stamp(model: ModelFile) -> Stamp:
    try:
        stat = model.weights.stat()
    except OSError as error:
        detail = {"checkpoint": model.fact.name}
        raise EngineError("missing_model", f"{model.weights}: {error!r}", detail) from error
    return str(model.path), stat.st_size, stat.st_mtime_ns
