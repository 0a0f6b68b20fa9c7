"""Which files of the library a job reads: all that a machine must have which fetches them.

What a request names is one part (`models_of`). The other is what an engine takes by itself: a VAE that is named after
the checkpoint, networks that find and restore faces, encoders of pictures, and what lies beside a model for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.domain.job import JobTask
from bot.domain.models import AUTOMATIC_VAE, FACE_MODELS
from bot.domain.named_models import Named, models_of
from bot.library import LibraryFile
from gpu_worker.language.image_refs import texts_in
from gpu_worker.language.layouts import PICKLE_SUFFIXES, PICTURE_SUFFIXES
from gpu_worker.language.taggers import table_path
from gpu_worker.language.vaes import automatic_vae
from gpu_worker.protocol.messages import MODEL_FILE_BYTES_MAX, ModelFact, ModelKind, ModelRef
from gpu_worker.protocol.specs import (
    BakeSpec,
    ConvertSpec,
    Drawing,
    FileTask,
    MergeSpec,
    RenderedSource,
    Sheet,
    Train,
    Txt2Img,
    Ultimate,
    Upscale,
)

__all__ = ["ModelNeeds", "NeededFile", "NotHashedError", "Shelved"]

HASH_WAIT_S = 600.0
"""A file that has no hash for so long never gets one: the job goes out without it, and its machine says what lacks."""
SIDECAR_BYTES_MAX = 4 << 20


class NotHashedError(Exception):
    """A file that a job needs has no hash yet; it will have one soon."""


@dataclass(frozen=True, slots=True)
class NeededFile:
    ref: ModelRef
    path: Path


class Shelved(Protocol):
    """The library, as far as this goes."""

    def files(self, kind: ModelKind | None = None) -> tuple[LibraryFile, ...]: ...
    def facts(self) -> tuple[ModelFact, ...]: ...
    def find(self, kind: ModelKind, name: str) -> LibraryFile | None: ...


async def _nothing_saved(name: str) -> NeededFile | None:
    return None


class ModelNeeds:
    def __init__(
        self,
        library: Shelved,
        *,
        source: Callable[[LibraryFile], str | None] = lambda file: None,
        saved: Callable[[str], Awaitable[NeededFile | None]] = _nothing_saved,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`source`: an address that gives a file's bytes; `saved`: a LoRA that a training saved, which is in no
        library."""
        self._library = library
        self._source = source
        self._saved = saved
        self._clock = clock
        self._refs: dict[str, tuple[LibraryFile, ModelRef]] = {}
        self._asked_at: dict[Path, float] = {}
        self._beside: dict[tuple[Path, int, int], str] = {}

    # --- no I/O: asked for each job and worker ------------------------------------------------------------------------

    def facts(self) -> tuple[ModelFact, ...]:
        """Of the library: what can be fetched at all."""
        fetchable = {(file.kind, file.name) for file in self._library.files() if _can_travel(file)}
        return tuple(fact for fact in self._library.facts() if (fact.kind, fact.name) in fetchable)

    def checkpoint(self, name: str) -> ModelRef | None:
        """None: it cannot be fetched, or not yet."""
        file = self._library.find("checkpoint", name)
        return self._ref(file) if file is not None and file.name == name and _can_travel(file) else None

    def is_coming(self, name: str) -> bool:
        """A checkpoint that can be fetched as soon as it has its hash."""
        file = self._library.find("checkpoint", name)
        return (
            file is not None
            and file.name == name
            and file.sha256 is None
            and _can_travel(file)
            and not self._is_given_up(file)
        )

    def agrees(self, fact: ModelFact) -> bool:
        """What a machine calls by that name is what we call so, as far as is known."""
        file = self._library.find(fact.kind, fact.name)
        if file is None or file.name != fact.name:
            return False
        return None in (file.sha256, fact.sha256) or file.sha256 == fact.sha256

    # --- of one job ---------------------------------------------------------------------------------------------------

    async def of(self, task: JobTask) -> tuple[NeededFile, ...]:
        """Each file once, of a task as it goes out. What the library does not have is left out. Raises
        NotHashedError."""
        found: dict[Path, NeededFile] = {}
        for kind, name in self._named(task):
            file = self._library.find(kind, name)
            if file is not None:
                for needed in await self._needed(file):
                    found[needed.path] = needed
            elif kind == "lora" and (saved := await self._saved(name)) is not None:
                found[saved.path] = saved
        return tuple(found.values())

    async def of_checkpoint(self, name: str) -> tuple[NeededFile, ...]:
        """What loading it takes. Raises NotHashedError."""
        file = self._library.find("checkpoint", name)
        return await self._needed(file) if file is not None else ()

    def _named(self, task: JobTask) -> Iterator[Named]:
        if isinstance(task, FileTask):
            yield from _of_files(task)
            return
        named = models_of(task, self._library.facts())
        yield from named
        drawings = _drawings(task)
        if drawings:
            yield from self._embeddings(texts_in(task))
        if isinstance(task, Train) or any(drawing.vae == AUTOMATIC_VAE for drawing in drawings):
            yield from self._automatic_vaes(name for kind, name in named if kind == "checkpoint")
        faces = {drawing.face_restore.model for drawing in drawings if drawing.face_restore}
        if isinstance(task, Upscale):
            faces |= {"GFPGAN"} if task.gfpgan_visibility else set()
            faces |= {"CodeFormer"} if task.codeformer_visibility else set()
        if faces or any(kind == "face" for kind, _ in named):
            # The files of the other network that restores are left out; the rest finds faces and cuts them out.
            others = tuple(name.casefold() for name in FACE_MODELS if name not in faces)
            for file in self._library.files("face"):
                if not _begins(file.name, others):
                    yield "face", file.name
        if any(drawing.image_prompts is not None for drawing in drawings):
            # Which of them an adapter reads with is told by its tensors.
            for file in self._library.files("annotator"):
                if file.variant == "clip_vision":
                    yield "annotator", file.name
        for drawing in drawings:
            if isinstance(drawing, Txt2Img) and drawing.hires and isinstance(drawing.hires.source, RenderedSource):
                yield from self._named(drawing.hires.source.spec)  # a picture that is gone, and drawn again first

    def _embeddings(self, texts: str) -> Iterator[Named]:
        """All whose names an engine might read in these words. It compares tokens, which are parts of words, too; and
        a file too many costs little, where one that lacks is another picture."""
        letters = _letters(texts)
        for file in self._library.files("embedding"):
            name = _letters(file.name)
            if name in letters if name else file.name in texts:
                yield "embedding", file.name

    def _automatic_vaes(self, checkpoints: Iterable[str]) -> Iterator[Named]:
        usable = {file.path: file for file in self._library.files("vae") if file.problem is None}
        for name in checkpoints:
            file = self._library.find("checkpoint", name)
            path = automatic_vae(file.path, list(usable)) if file is not None else None
            if path is not None:
                yield "vae", usable[path].name

    async def _needed(self, file: LibraryFile) -> tuple[NeededFile, ...]:
        if not _can_travel(file):
            return ()
        ref = self._ref(file)
        if ref is None:
            if self._is_given_up(file):
                return ()
            raise NotHashedError(f"{file.kind} {file.name}")
        self._asked_at.pop(file.path, None)
        found = [NeededFile(ref, file.path)]
        for suffix, path in await asyncio.to_thread(_beside, file):
            beside = await asyncio.to_thread(self._small, file, suffix, path)
            found += [beside] if beside is not None else []
        return tuple(found)

    def _small(self, file: LibraryFile, suffix: str, path: Path) -> NeededFile | None:
        """Blocks."""
        try:
            facts = path.stat()
            if not 0 < facts.st_size <= SIDECAR_BYTES_MAX:
                return None
            key = (path, facts.st_size, facts.st_mtime_ns)
            if key not in self._beside:
                self._beside[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            return None
        ref = ModelRef(
            kind=file.kind, name=file.name, sha256=self._beside[key], size_bytes=facts.st_size, suffix=suffix
        )
        return NeededFile(ref, path)

    def _ref(self, file: LibraryFile) -> ModelRef | None:
        if file.sha256 is None:
            return None
        known = self._refs.get(file.id)
        if known is None or known[0] is not file:
            ref = ModelRef(
                kind=file.kind, name=file.name, sha256=file.sha256, size_bytes=file.size_bytes,
                suffix=file.path.suffix.lower(), source=self._source(file),
            )  # fmt: skip
            known = self._refs[file.id] = (file, ref)
        return known[1]

    def _is_given_up(self, file: LibraryFile) -> bool:
        return self._clock() - self._asked_at.setdefault(file.path, self._clock()) > HASH_WAIT_S


def _can_travel(file: LibraryFile) -> bool:
    """One file, which has that name by its own: no diffusers folder, whose hash is that of its UNet alone, and nothing
    that is told from another by its folder."""
    return (
        file.problem is None
        and file.path.suffix.lower() in _SUFFIXES
        and not any(sign in file.name for sign in "/\\\0")
        and not file.name.startswith(".")
        and 0 < file.size_bytes <= MODEL_FILE_BYTES_MAX
    )


_SUFFIXES = frozenset({".safetensors", ".onnx"}) | PICKLE_SUFFIXES | PICTURE_SUFFIXES


def _of_files(task: FileTask) -> Iterator[Named]:
    if isinstance(task, ConvertSpec):
        yield task.model_kind, task.model
    elif isinstance(task, MergeSpec):
        for name in (task.first, task.second, task.third):
            if name is not None:
                yield "checkpoint", name
    elif isinstance(task, BakeSpec):
        yield "checkpoint", task.checkpoint
        for lora in task.loras:
            yield "lora", lora.name
    if task.vae is not None:
        yield "vae", task.vae


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _drawings(task: JobTask) -> Sequence[Drawing]:
    if isinstance(task, Sheet):
        return task.cells
    if isinstance(task, Ultimate):
        return (task.drawing,)
    return (task,) if isinstance(task, Drawing) else ()


def _begins(name: str, starts: tuple[str, ...]) -> bool:
    return bool(starts) and name.casefold().startswith(starts)


def _beside(file: LibraryFile) -> list[tuple[str, Path]]:
    """What an engine reads beside it. Blocks."""
    if file.kind == "checkpoint":
        yaml = file.path.with_suffix(".yaml")
        return [(".yaml", yaml)] if yaml.is_file() else []
    table = table_path(file.path) if file.kind == "tagger" else None
    return [(".csv", table)] if table is not None else []
