"""A file that is being fetched: what is there of it, of which version, and that it survives whatever comes.

Only bytes that a note beside the file says are on the disk count after a crash: a power cut can leave holes behind the
last sync. All methods block. A lock orders them, for a thread outlives the task that is cancelled while waiting for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

__all__ = ["Note", "PartFile"]

PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Note:
    """`validator` is what `url` said of the version; `total` is None where it is not known."""

    url: str = ""
    validator: str | None = None
    total: int | None = None
    filename: str | None = None
    synced: int = 0
    spent_s: float = 0.0
    mixed: bool = False
    """From more than one answer: if the hash is wrong, the pieces may be to blame."""
    done: str | None = None
    """Name of the finished file."""


class PartFile:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Hidden, as no finished file's name is.
        self._part = folder / ".part"
        self._note_path = folder / ".part.json"
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._since = time.monotonic()
        self._spent_before_s = 0.0
        self._lock = threading.RLock()
        self.note = Note()
        self.size = 0

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self = cls(folder)
        self.note = self._read_note()
        self._spent_before_s = self.note.spent_s
        if self.note.done is not None:
            return self
        self._file = self._part.open("r+b" if self._part.exists() else "w+b")
        self.size = min(self._file.seek(0, os.SEEK_END), self.note.synced)
        self._file.truncate(self.size)
        self._file.seek(self.size)
        return self

    def finished(self) -> Path | None:
        path = self.folder / self.note.done if self.note.done else None
        return path if path is not None and path.is_file() else None

    def restart(self) -> None:
        """From the first byte."""
        with self._lock:
            file = self._opened()
            file.seek(0)
            file.truncate(0)
            self.size = 0
            self._digest, self._hashed = hashlib.sha256(), 0
            self.note = dataclasses.replace(self.note, url="", validator=None, total=None, synced=0, mixed=False)
            self._write_note()

    def write(self, data: bytes | bytearray) -> None:
        with self._lock:
            self._opened().write(data)
            if self._hashed == self.size:
                self._digest.update(data)
                self._hashed += len(data)
            self.size += len(data)

    def sync(self) -> None:
        with self._lock:
            file = self._opened()
            file.flush()
            os.fsync(file.fileno())
            spent_s = self._spent_before_s + time.monotonic() - self._since
            self.note = dataclasses.replace(self.note, synced=self.size, spent_s=spent_s)
            self._write_note()

    def sha256(self) -> str:
        """Of the whole; reads what was not hashed as it came, as after an interruption."""
        with self._lock:
            file = self._opened()
            file.flush()
            file.seek(self._hashed)
            while piece := file.read(PIECE_BYTES):
                self._digest.update(piece)
                self._hashed += len(piece)
            file.seek(self.size)
            return self._digest.hexdigest()

    def finish(self, name: str) -> Path:
        """Under its own name, in the same folder."""
        target = self.folder / name
        with self._lock:
            self.sync()
            self.close()
            # First the note: after a crash between the two, the next start renames.
            self.note = dataclasses.replace(self.note, done=target.name)
            self._write_note()
            self._part.replace(target)
        return target

    def grant_time(self) -> None:
        self._spent_before_s, self._since = 0.0, time.monotonic()

    def leave(self) -> None:
        """What was received survives, if the disk lets it."""
        with self._lock:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self.sync()
            self.close()

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._file = None

    def _opened(self) -> BinaryIO:
        assert self._file is not None, "the part is open"
        return self._file

    def _read_note(self) -> Note:
        try:
            found: Any = json.loads(self._note_path.read_bytes())
            names = {field.name for field in dataclasses.fields(Note)}
            note = Note(**{key: value for key, value in cast("dict[str, Any]", found).items() if key in names})
        except (OSError, ValueError, TypeError, AttributeError):
            return Note()
        if note.done is None or (self.folder / note.done).is_file():
            return note
        if self._part.is_file() and self._part.stat().st_size == note.synced:
            self._part.replace(self.folder / note.done)
            return note
        return Note(spent_s=note.spent_s)  # taken away since: it is fetched anew

    def _write_note(self) -> None:
        part = self._note_path.with_name(".part.new")
        with part.open("w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(self.note), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._note_path)
