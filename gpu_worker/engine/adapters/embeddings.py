"""Finds the names of textual inversions in tokenised prompts (behaviours §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu_worker.engine.adapters.embedding_file import Embedding, read_bundled, read_embedding
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.models import ModelFile

__all__ = ["Embedding", "EmbeddingBook", "EmbeddingShelf", "read_embedding"]

Stamp = tuple[str, int, int]


class EmbeddingShelf:
    """The embeddings that fit one checkpoint, by the token ids of their names."""

    def __init__(self, embeddings: Sequence[Embedding], tokenizer: Any, key: tuple[object, ...] = ()) -> None:
        """Of equal names the first counts, upper and lower case being one, as CLIP reads it."""
        self.key = key
        """Equal keys, equal contents."""
        self._found: dict[int, list[tuple[list[int], Embedding]]] = {}
        for embedding in embeddings:
            ids = _ids(tokenizer, embedding.name)
            if ids:
                self._found.setdefault(ids[0], []).append((ids, embedding))
        for candidates in self._found.values():
            candidates.sort(key=lambda candidate: -len(candidate[0]))

    def find(self, ids: Sequence[int], position: int) -> tuple[Embedding, int] | None:
        """The embedding whose name begins at `position`, the longest name first, and how many tokens that has.

        Its `vectors` are by the checkpoint's kinds of text models.
        """
        for name, embedding in self._found.get(ids[position], ()):
            if list(ids[position : position + len(name)]) == name:
                return embedding, len(name)
        return None


class EmbeddingBook:
    """Embeddings read so far. A file that changed is read anew; one that cannot be read is left out and remembered."""

    def __init__(self) -> None:
        self._read: dict[Stamp, tuple[Embedding, ...]] = {}
        self._problems: dict[Stamp, tuple[str, str]] = {}
        self._last: tuple[tuple[object, ...], EmbeddingShelf] | None = None

    @property
    def problems(self) -> Mapping[str, str]:
        """Reason keys by name, of the files that the last shelf should have held."""
        return dict(self._problems.values())

    def shelf(
        self, checkpoint: Checkpoint, files: Sequence[ModelFile], networks: Sequence[ModelFile] = ()
    ) -> EmbeddingShelf:
        """Those of `files` that fit the checkpoint; names of the others are ordinary words. `networks` are the files of
        active LoRAs, whose own embeddings come after those of `files`. Never raises for a broken file."""
        wanted = [(file, False) for file in files] + [(file, True) for file in networks]
        stamped = {stamp: entry for entry in wanted if (stamp := _stamp(entry[0].path)) is not None}
        encoders = tuple((e.kind, id(e.tokenizer), int(e.model.config.hidden_size)) for e in checkpoint.text_encoders)
        key = (encoders, tuple(stamped))
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        self._read = {stamp: held for stamp, held in self._read.items() if stamp in stamped}
        self._problems = {stamp: held for stamp, held in self._problems.items() if stamp in stamped}
        fitted: list[Embedding] = []
        for stamp, (file, bundled) in stamped.items():
            fitted += [own for held in self._held(stamp, file, bundled) if (own := held.fitted(checkpoint)) is not None]
        shelf = EmbeddingShelf(fitted, checkpoint.text_encoders[0].tokenizer, key)
        self._last = (key, shelf)
        return shelf

    def _held(self, stamp: Stamp, file: ModelFile, bundled: bool) -> tuple[Embedding, ...]:
        if stamp not in self._read:
            name = file.fact.name
            try:
                self._read[stamp] = read_bundled(name, file.path) if bundled else (read_embedding(name, file.path),)
            except EngineError as error:
                self._read[stamp] = ()
                self._problems[stamp] = (name, str(error.detail["problem"]))
        return self._read[stamp]


def _stamp(path: Path) -> Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return str(path), stat.st_size, stat.st_mtime_ns


def _ids(tokenizer: Any, name: str) -> list[int]:
    """As prompts are tokenised: by the backend, without start and end; lone surrogates left out."""
    text = name.encode("utf-8", "ignore").decode("utf-8")
    return list(tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)
