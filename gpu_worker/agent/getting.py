"""How a file comes to this machine: a chunk after the other from the bot, with the hash of what is there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gpu_worker.protocol.nats.mail import Wanted
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES

__all__ = ["Get", "PartFile", "WrongBytesError", "fetch_chunks"]

log = logging.getLogger(__name__)

WINDOW = 8
"""Chunks asked for at once: a link of 200 ms still moves 20 MB/s."""
PIECE_BYTES = 8 << 20


class WrongBytesError(Exception):
    """What came is not what was asked for."""


class Get(Protocol):
    async def __call__(self, wanted: Wanted) -> bytes:
        """A chunk, at most `CHUNK_BYTES`: a request on `Subjects.inputs` of any card of this machine, its answer read
        by `mail.chunk_of`. Raises FileNotFoundError where the bot does not give it, and any other OSError
        (LinkDownError) where there was no answer; then it is asked again."""
        ...


class PartFile:
    """A file on its way: what is there, from its first byte, and the hash of that. All methods block; a lock orders
    them, for a thread outlives the task that is cancelled while waiting for it."""

    def __init__(self, path: Path) -> None:
        """Goes on with what an earlier life left. Raises OSError."""
        self._path = path
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self.size = 0
        while piece := self._file.read(PIECE_BYTES):
            self._digest.update(piece)
            self.size += len(piece)
        self.resumed = self.size > 0

    def append(self, data: bytes) -> None:
        """Nothing once it is closed."""
        with self._lock:
            if not self._file.closed:
                self._file.write(data)
                self._digest.update(data)
                self.size += len(data)

    def restart(self) -> None:
        with self._lock:
            self._file.seek(0)
            self._file.truncate()
            self._digest, self.size, self.resumed = hashlib.sha256(), 0, False

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def sync(self) -> None:
        """All of it is on the disk."""
        with self._lock:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._file.close()

    def remove(self) -> None:
        self.close()
        self._path.unlink(missing_ok=True)


async def fetch_chunks(
    get: Get, wanted: Callable[[int], Wanted], part: PartFile, size_bytes: int, *, told: Callable[[int], None],
    retry_s: float,
) -> None:  # fmt: skip
    """The rest of it, from the bot; waits for one that is away. Raises FileNotFoundError where the bot does not give
    it, WrongBytesError, and OSError of this machine's disk."""
    window: deque[asyncio.Task[bytes]] = deque()
    offset = part.size
    try:
        while part.size < size_bytes:
            while offset < size_bytes and len(window) < WINDOW:
                length = min(CHUNK_BYTES, size_bytes - offset)
                window.append(asyncio.create_task(_chunk(get, wanted(offset), length, retry_s)))
                offset += length
            data = await window[0]
            window.popleft()
            await asyncio.to_thread(part.append, data)
            told(part.size)
    finally:
        for task in window:
            task.cancel()
        await asyncio.gather(*window, return_exceptions=True)


async def _chunk(get: Get, wanted: Wanted, length: int, retry_s: float) -> bytes:
    while True:
        try:
            data = await get(wanted)
        except FileNotFoundError:
            raise
        except OSError as error:
            log.debug("a chunk did not come, and is asked for again: %s", error)
            await asyncio.sleep(retry_s)
            continue
        if len(data) != length:
            raise WrongBytesError(f"a chunk of {len(data)} bytes in place of {length}")
        return data
