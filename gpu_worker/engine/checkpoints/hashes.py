"""Hashes of model files, computed beside the work and remembered by path, size and modification time; and short notes
on what was found out about them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

__all__ = ["HashBook", "old_hash"]

_PIECE_BYTES = 4 * 1024 * 1024
_OLD_FROM, _OLD_BYTES = 0x100000, 0x10000


def old_hash(file: Path) -> str | None:
    """The 8 digits by which A1111 knew models before sha256: of 64 KiB after the first MiB. None where the file cannot
    be read."""
    try:
        with file.open("rb") as weights:
            weights.seek(_OLD_FROM)
            return hashlib.sha256(weights.read(_OLD_BYTES)).hexdigest()[:8]
    except OSError:
        return None


class HashBook:
    """sha256 of model files. A multi-gigabyte file takes seconds, so it is started early and asked for late.

    The JSON file is replaced as a whole; a damaged, missing or unwritable one only costs hashing again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known = _read(path)
        self._pending: dict[str, Future[str | None]] = {}
        self.version = 0
        """Counts what became known."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hash")

    def known(self, file: Path, *, data_only: bool = False) -> str | None:
        """The hash if it is known already; never reads the file."""
        key = _key(file, "data" if data_only else "file")
        with self._lock:
            return self._known.get(key) if key else None

    def noted(self, file: Path, what: str) -> str | None:
        """What `note` wrote of the file as it is now."""
        key = _key(file, what)
        with self._lock:
            return self._known.get(key) if key else None

    def note(self, file: Path, what: str, value: str) -> None:
        """`what` is a lower-case word other than `file` and `data`; a file that is gone is not noted."""
        key = _key(file, what)
        if key is None:
            return
        with self._lock:
            self._known[key] = value
            self.version += 1
            snapshot = dict(self._known)
        _write(self._path, snapshot)

    def start(self, file: Path, *, data_only: bool = False) -> Future[str | None]:
        """The hash of the whole file, or of a safetensors file's data without its header (A1111's LoRA hash, which
        editing metadata does not change). The result is None where the file cannot be read."""
        key = _key(file, "data" if data_only else "file")
        done: Future[str | None] = Future()
        with self._lock:
            if key is None or key in self._known:
                done.set_result(self._known.get(key or ""))
                return done
            if key not in self._pending:
                self._pending[key] = self._pool.submit(self._hash, key, file, data_only)
            return self._pending[key]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _hash(self, key: str, file: Path, data_only: bool) -> str | None:
        digest = hashlib.sha256()
        try:
            with file.open("rb") as source:
                if data_only:
                    source.seek(int.from_bytes(source.read(8), "little") + 8)
                while piece := source.read(_PIECE_BYTES):
                    digest.update(piece)
        except (OSError, OverflowError, ValueError):
            with self._lock:
                self._pending.pop(key, None)
            return None
        with self._lock:
            self._known[key] = digest.hexdigest()
            self.version += 1
            self._pending.pop(key, None)
            snapshot = dict(self._known)
        _write(self._path, snapshot)
        return snapshot[key]


def _key(file: Path, what: str) -> str | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return f"{what}:{stat.st_size}:{stat.st_mtime_ns}:{file.resolve()}"


def _read(path: Path) -> dict[str, str]:
    try:
        book: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(book, dict):
        return {}
    return {
        key: value
        for key, value in book.items()
        if isinstance(value, str) and (len(value) == 64 or not key.startswith(("file:", "data:")))
    }


def _write(path: Path, book: dict[str, str]) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(book, file, indent=0)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
