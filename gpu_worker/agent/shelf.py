"""The fetched model files on this machine's disk: which they are, by hash, and which go when room is needed.

What the index does not name, or is no longer as it was, is never drawn with: it goes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from gpu_worker.protocol.messages import ModelKind, ModelRef
from gpu_worker.protocol.outbox import PART_SUFFIX

__all__ = ["Kept", "Shelf", "place_of"]

log = logging.getLogger(__name__)

FOLDERS: dict[ModelKind, str] = {
    "checkpoint": "checkpoints", "vae": "vae", "lora": "loras", "embedding": "embeddings", "controlnet": "controlnet",
    "upscaler": "upscalers", "face": "face", "annotator": "annotators", "tagger": "taggers",
    "preview": "previews", "detector": "detectors",
}  # fmt: skip
_INDEX = "index.json"
_PARTS = ".parts"
_PARTS_KEPT_S = 7 * 24 * 3600
"""So long somebody may still go on with a half."""
_NAME = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]*")
_NAME_BYTES_MAX = 255


def place_of(ref: ModelRef) -> str:
    """Below the folder of fetched files. Raises ValueError for a name that cannot be a file's."""
    name = f"{ref.name}{ref.suffix}"
    if _NAME.fullmatch(name) is None or len(name.encode()) > _NAME_BYTES_MAX:
        raise ValueError(f"{ref.kind} {ref.name!r} cannot be a file's name")
    return f"{FOLDERS[ref.kind]}/{name}"


@dataclass(frozen=True, slots=True)
class Kept:
    sha256: str
    size_bytes: int
    modified_ns: int
    used_at: float
    """Unix seconds."""
    own: bool = False
    """A link to a file of the machine's own, which costs no room."""


class Shelf:
    """All methods block, and are called by one thread at a time; `hash_of`, `bytes` and `parts_bytes` by any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: dict[str, Kept] = {}
        """By place."""

    def open(self) -> None:
        """Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in FOLDERS.values():  # a child looks for folders at its start
            (self.folder / name).mkdir(exist_ok=True)
        self._sweep_old_parts()
        self._kept = {place: kept for place, kept in _read(self.folder / _INDEX).items() if self._is_as(place, kept)}
        for name in FOLDERS.values():
            for path in (self.folder / name).iterdir():
                if f"{name}/{path.name}" not in self._kept:
                    log.warning("%s is no file that was fetched, and goes", path)
                    _remove(path)

    def has(self, place: str, sha256: str) -> bool:
        """Exactly these bytes are there."""
        kept = self._kept.get(place)
        return kept is not None and kept.sha256 == sha256 and self._is_as(place, kept)

    def hash_of(self, kind: ModelKind, name: str) -> str | None:
        """Of the model with this name; not of what lies beside it."""
        begin = f"{FOLDERS[kind]}/{name}."
        # A copy, here and below: another thread may be putting a file there.
        rows = list(self._kept.items())
        found = [kept for place, kept in rows if place.startswith(begin) and _is_model(place, begin)]
        return found[0].sha256 if len(found) == 1 else None

    def rivals(self, place: str, wanted: Collection[str]) -> list[str]:
        """Other files of the same stem that this one must not have beside it: those not among `wanted` places."""
        stem = place.rpartition(".")[0]
        return [other for other in self._kept if other.rpartition(".")[0] == stem and other not in wanted]

    def strays(self, refs: Sequence[ModelRef], texts: str) -> list[str]:
        """What an engine would take by itself for a job with these files and words (lower case): embeddings, which are
        plain words, a VAE that is named after a checkpoint, the newest of the face models."""
        checkpoints = tuple(f"{FOLDERS['vae']}/{ref.name}" for ref in refs if ref.kind == "checkpoint")
        faces = any(ref.kind == "face" for ref in refs)
        found: list[str] = []
        for place in self._kept:
            folder, _, name = place.partition("/")
            embedded = folder == FOLDERS["embedding"] and name.rpartition(".")[0].casefold() in texts
            if embedded or place.startswith(checkpoints) or (faces and folder == FOLDERS["face"]):
                found.append(place)
        return found

    def touch(self, places: Collection[str]) -> None:
        now = time.time()
        for place in places:
            if (kept := self._kept.get(place)) is not None:
                self._kept[place] = replace(kept, used_at=now)
        self._write()

    def part(self, sha256: str) -> Path:
        return self.folder / _PARTS / f"{sha256}{PART_SUFFIX}"

    def sweep_parts(self, wanted: Collection[str]) -> None:
        """Halves that nobody waits for go."""
        with contextlib.suppress(OSError):
            for path in (self.folder / _PARTS).iterdir():
                if path.name.removesuffix(PART_SUFFIX) not in wanted:
                    _remove(path)

    def _sweep_old_parts(self) -> None:
        with contextlib.suppress(OSError):
            for path in (self.folder / _PARTS).iterdir():
                if path.lstat().st_mtime < time.time() - _PARTS_KEPT_S:
                    _remove(path)

    def put(self, place: str, sha256: str, source: Path) -> None:
        """The finished file takes its place. Raises OSError."""
        facts = source.stat()
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        # The index first: what a crash leaves without its line would go.
        self._kept[place] = Kept(sha256, facts.st_size, facts.st_mtime_ns, time.time())
        self._write()
        source.replace(target)

    def link(self, place: str, sha256: str, source: Path) -> bool:
        """A file of the machine's own, found by its hash, under the bot's name for it; False where this disk has no
        links."""
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(target)
        for link in (_symbolic, os.link):
            with contextlib.suppress(OSError, NotImplementedError):
                link(source, target)
                facts = target.stat()
                self._kept[place] = Kept(sha256, facts.st_size, facts.st_mtime_ns, time.time(), own=True)
                self._write()
                return True
        return False

    def drop(self, place: str) -> bool:
        """False where something still has it open, as on Windows."""
        if not _remove(self.folder / place):
            return False
        self._kept.pop(place, None)
        self._write()
        return True

    @property
    def bytes(self) -> int:
        return sum(kept.size_bytes for kept in list(self._kept.values()) if not kept.own)

    def parts_bytes(self) -> int:
        total = 0
        with contextlib.suppress(OSError):
            for path in (self.folder / _PARTS).iterdir():
                with contextlib.suppress(OSError):  # it has just become whole
                    total += path.stat().st_size
        return total

    def oldest(self, used: Collection[str]) -> Iterator[tuple[str, Kept]]:
        """What may go, the least recently used first."""
        rows = [(place, kept) for place, kept in self._kept.items() if place not in used and not kept.own]
        return iter(sorted(rows, key=lambda row: row[1].used_at))

    def free_bytes(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)  # somebody may have cleared it away to make room
        return shutil.disk_usage(self.folder).free

    def _is_as(self, place: str, kept: Kept) -> bool:
        try:
            facts = (self.folder / place).stat()
        except OSError:
            return False
        return (facts.st_size, facts.st_mtime_ns) == (kept.size_bytes, kept.modified_ns)

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{_INDEX}{PART_SUFFIX}"
        with part.open("w", encoding="utf-8") as file:
            json.dump({place: asdict(kept) for place, kept in self._kept.items()}, file, indent=0)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / _INDEX)


_BESIDE = (".yaml", ".csv")
"""What lies beside a model for it, and is none."""


def _is_model(place: str, begin: str) -> bool:
    rest = place[len(begin) :]
    return "." not in rest and f".{rest}" not in _BESIDE


def _symbolic(source: Path, target: Path) -> None:
    target.symlink_to(source.resolve())


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed now: %s", path, error)
        return False
    return True


def _read(path: Path) -> dict[str, Kept]:
    try:
        found = cast("dict[str, dict[str, Any]]", json.loads(path.read_bytes()))
        return {place: Kept(**row) for place, row in found.items() if _is_place(place)}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _is_place(place: str) -> bool:
    folder, _, name = place.partition("/")
    return folder in FOLDERS.values() and _NAME.fullmatch(name) is not None
