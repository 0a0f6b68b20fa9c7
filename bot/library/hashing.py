"""SHA-256 of model files, one at a time, in a thread that gives way to everything else."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

__all__ = ["Hasher", "Hashes", "known_to_the_worker"]

PIECE_BYTES = 4 << 20
REST = 0.5
"""Of the time that a piece took, so much is left to others, for a disk has no priorities."""
_BOOK_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Hashes:
    sha256: str
    autov3: str | None
    """Of a safetensors file's data without its header, 12 characters (behaviours §5.3)."""


class Hasher:
    def __init__(self) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hash", initializer=_give_way)

    async def hash(self, path: Path, *, data_too: bool) -> Hashes | None:
        """None where the file cannot be read, or this hasher was closed meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _hash, path, data_too, self._stop)

    def close(self) -> None:
        """What is under way ends at its next piece."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


def known_to_the_worker(book: Path) -> dict[str, Any]:
    """What the worker's engine has hashed already (gpu_worker.engine.checkpoints.hashes); blocks."""
    try:
        if book.stat().st_size > _BOOK_LIMIT_BYTES:
            return {}
        known: Any = json.loads(book.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", known) if isinstance(known, dict) else {}


def _hash(path: Path, data_too: bool, stop: threading.Event) -> Hashes | None:
    whole, data = hashlib.sha256(), hashlib.sha256()
    try:
        with path.open("rb") as file:
            head = file.read(8)
            whole.update(head)
            skip = int.from_bytes(head, "little")
            while True:
                started = time.monotonic()
                piece = file.read(PIECE_BYTES)
                if not piece:
                    break
                whole.update(piece)
                if data_too and skip < len(piece):
                    data.update(memoryview(piece)[max(0, skip) :])
                skip -= min(len(piece), max(0, skip))
                if stop.wait((time.monotonic() - started) * REST):
                    return None
    except OSError:
        return None
    return Hashes(whole.hexdigest(), data.hexdigest()[:12] if data_too else None)


def _give_way() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
