"""The models of some folders for a process that asks often: only what changed is read, and remembered over restarts."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from gpu_worker.language.layouts import Reading
from gpu_worker.language.listing import Listed, Stamp, list_files
from gpu_worker.language.models import ModelFile, name_models, read_demo, read_listed
from gpu_worker.language.reader import pack_reading, unpack_reading
from gpu_worker.language.trees import Root, model_roots

__all__ = ["ModelBook"]

VERSION = 5
"""Of the rules that files are judged by; another one's notes are not believed."""
BOOK_LIMIT_BYTES = 256 << 20


class ModelBook:
    def __init__(
        self,
        models_dir: Path,
        demo_dir: Path,
        *,
        extra_folders: Sequence[Path] = (),
        notes: Path | None = None,
        trainings: Path | None = None,
    ) -> None:
        """`notes` is a file that may be lost at any time; damaged or unwritable it only costs reading again.
        `trainings` holds the LoRAs that trainings saved, in a folder of each job."""
        self._trained = () if trainings is None else (Root(trainings, "lora", trained=True),)
        self._models_dir = models_dir
        self._demo_dir = demo_dir
        self._extra = tuple(extra_folders)
        self._notes = notes
        self._lock = threading.Lock()
        self._known: dict[Stamp, Reading] = _read(notes) if notes else {}
        self._noted = len(self._known)
        self._last: tuple[list[Listed], list[Reading], tuple[ModelFile, ...]] = ([], [], ())
        self._models: tuple[ModelFile, ...] = ()

    def models(self) -> tuple[ModelFile, ...]:
        """As `scan_model_files`; the very same tuple while nothing has changed."""
        with self._lock:
            listed = list_files((*model_roots(self._models_dir, self._extra), *self._trained))
            readings = [read_listed(found, self._known) for found in listed]
            demo = read_demo(self._demo_dir, self._known)
            if (listed, readings, demo) != self._last or not self._models:
                by_path = {found.path: reading for found, reading in zip(listed, readings, strict=True)}
                self._models = name_models(listed, by_path, demo)
                self._last = (listed, readings, demo)
                self._note(listed)
            return self._models

    def _note(self, listed: Sequence[Listed]) -> None:
        there = {found.stamp for found in listed}
        gone = [stamp for stamp in self._known if stamp not in there]
        if self._notes is None or (len(self._known) == self._noted and not gone):
            return
        for stamp in gone:
            del self._known[stamp]
        self._noted = len(self._known)
        _write(self._notes, self._known)


def _read(path: Path) -> dict[Stamp, Reading]:
    try:
        if path.stat().st_size > BOOK_LIMIT_BYTES:
            return {}
        book: Any = json.loads(path.read_bytes())
        if book["version"] != VERSION:
            return {}
        return {
            (str(stamp[0]), int(stamp[1]), int(stamp[2]), int(stamp[3]), str(stamp[4])): unpack_reading(reading)
            for stamp, reading in cast("list[Any]", book["readings"])
        }
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return {}


def _write(path: Path, known: dict[Stamp, Reading]) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                readings = [[stamp, pack_reading(reading)] for stamp, reading in known.items()]
                json.dump({"version": VERSION, "readings": readings}, file)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
