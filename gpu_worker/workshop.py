"""The engine of a worker that does more than draw: drawings go to the engine, trainings to their room; model files and
descriptions of pictures are made here."""

from __future__ import annotations

import concurrent.futures
import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.convert.captioning import write_captions
from gpu_worker.convert.making import make_file
from gpu_worker.engine.engine import Drawn, Engine
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.images.files import open_picture
from gpu_worker.engine.images.foreign import read_text
from gpu_worker.engine.memory import is_out_of_memory
from gpu_worker.engine.tagging.tagger import Taggers
from gpu_worker.protocol.messages import Missing, ModelFact, ModelKind
from gpu_worker.protocol.specs import Caption, Describe, FileSpec, FileTask, Sheet, TaskSpec, Train
from gpu_worker.task import JobHooks, MadeFile, SaidText
from gpu_worker.training.room import TrainingRoom

__all__ = ["Workshop"]

LOOK_S = 0.5
"""How often a cancel is looked for while a file is hashed."""
SUFFIX = ".safetensors"
INFOTEXT_CHARS_MAX = 100_000


class Workshop:
    def __init__(self, engine: Engine, room: TrainingRoom | None = None) -> None:
        """Without a room nothing is trained."""
        self._engine = engine
        self._room = room
        self._taggers = Taggers()
        self.device_name = engine.device_name
        self.vram_mb = engine.vram_mb

    @property
    def loaded(self) -> str | None:
        return self._engine.loaded

    def facts(self) -> tuple[ModelFact, ...]:
        return self._engine.facts()

    def vram_free_mb(self) -> int | None:
        return self._engine.vram_free_mb()

    def prepare(self, checkpoint: str) -> None:
        self._engine.prepare(checkpoint)

    def draw(self, spec: TaskSpec, hooks: JobHooks) -> Sequence[Drawn | MadeFile | SaidText | Missing]:
        """Raises EngineError, DrawingCancelled and, of a training, JobPaused; of a file nothing is left then."""
        if isinstance(spec, FileTask):
            return [self._make(spec, hooks)]
        if isinstance(spec, Describe):
            return [self._describe(spec, hooks)]
        if isinstance(spec, Caption):
            return [self._caption(spec, hooks)]
        if isinstance(spec, Sheet):
            return self._engine.draw_sheet(spec, hooks)
        if isinstance(spec, Train):
            return self._train(spec, hooks)
        return self._engine.draw(spec, hooks)

    def _train(self, spec: Train, hooks: JobHooks) -> list[Drawn]:
        """No picture: its files have been handed over when it is done."""
        if self._room is None:
            raise EngineError("bad_input", "no training here", {"reason": "no_training"})
        self._taggers.clear()
        self._room.train(spec, hooks)
        return []

    def _describe(self, spec: Describe, hooks: JobHooks) -> SaidText:
        work = _Work(hooks)
        hooks.progress("looking", 0, 0, None)
        data = hooks.open_image(spec.image)
        picture = open_picture(data, spec.image)
        file = self._engine.model_file("tagger", spec.tagger)
        try:
            found = self._taggers.describe(
                picture, file, general=spec.general, character=spec.character, check=work.check
            )
        except MemoryError as error:
            self._taggers.clear()
            raise EngineError("oom", str(error), {"reason": "look"}) from error
        found = found.model_copy(update={"width": picture.shape[1], "height": picture.shape[0]})
        infotext = read_text(data)
        if infotext and len(infotext) <= INFOTEXT_CHARS_MAX:
            found = found.model_copy(update={"infotext": infotext})
        return SaidText(found.model_dump_json().encode())

    def _caption(self, spec: Caption, hooks: JobHooks) -> SaidText:
        work, file = _Work(hooks), self._engine.model_file("tagger", spec.tagger)
        try:
            found = write_captions(spec, hooks, self._taggers, file, work.check)
        except MemoryError as error:
            self._taggers.clear()
            raise EngineError("oom", str(error), {"reason": "look"}) from error
        return SaidText(found.model_dump_json().encode())

    def _make(self, spec: FileSpec, hooks: JobHooks) -> MadeFile:
        work = _Work(hooks)
        place = hooks.place(SUFFIX)
        hooks.progress("converting", 0, 0, None)
        try:
            made = make_file(spec, place, self._find, lambda path: self._hash(path, work), work)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise EngineError("disk_full", str(error)) from error
            raise
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise EngineError("oom", str(error), {"reason": "file"}) from error
            raise
        return MadeFile(made.path, made.sha256, made.size_bytes)

    def _find(self, kind: ModelKind, name: str) -> Path:
        return self._engine.model_file(kind, name).path

    def _hash(self, path: Path, work: _Work) -> str:
        future = self._engine.sha256_of(path)
        while True:
            try:
                found = future.result(LOOK_S)
            except concurrent.futures.TimeoutError:
                work.check()
                continue
            if found is None:
                raise EngineError("missing_model", f"{path} cannot be read", {"checkpoint": path.stem})
            return found


@dataclass
class _Work:
    """One job's progress, at most once a percent: a report for every piece would be thousands."""

    hooks: JobHooks
    last: int = -1

    def check(self) -> None:
        if self.hooks.cancelled():
            raise DrawingCancelled

    def report(self, done: int, of: int) -> None:
        share = done * 100 // of if of else 100
        if share != self.last:
            self.last = share
            self.hooks.progress("converting", done, of, None)
