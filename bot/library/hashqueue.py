"""Hashes what has no hash yet, small files first, in the background."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bot.library.entries import Entry
from bot.library.hashing import Hasher, Hashes, known_to_the_worker
from bot.library.scanner import Scanner
from bot.storage.database import StorageFullError
from gpu_worker.language.listing import Stamp

__all__ = ["HashQueue"]

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""After a start the disk belongs to whoever waits for a picture."""
SHOWN_EVERY_S = 3.0
SHOWN_SHARE = 50
"""New hashes are shown so seldom that showing them takes this part of the time at most."""


class HashQueue:
    def __init__(
        self,
        scanner: Scanner,
        hasher: Hasher,
        book: Path,
        show: Callable[[], Awaitable[None]],
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        """`book` is where the worker's engine notes its hashes; `show` makes a new snapshot."""
        self._scanner = scanner
        self._hasher = hasher
        self._book = book
        self._show = show
        self._grace_s = grace_s
        self._wake = asyncio.Event()
        self._wake.set()
        self._failed: set[Stamp] = set()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        self._hasher.close()

    async def run(self) -> None:
        await asyncio.sleep(self._grace_s)
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._work()
            except (StorageFullError, OSError):
                log.exception("a hash could not be stored; it is tried again at the next change")
            except Exception:
                log.exception("hashing failed by a bug; it goes on at the next change")

    async def _work(self) -> None:
        book = await asyncio.to_thread(known_to_the_worker, self._book)
        pause, shown_at, news = SHOWN_EVERY_S, time.monotonic(), False
        while waiting := await asyncio.to_thread(self._waiting, self._scanner.entries):
            for entry in waiting:
                news |= await self._hash(entry, book)
                if news and time.monotonic() - shown_at > pause:
                    started = time.monotonic()
                    await self._show()
                    shown_at, news = time.monotonic(), False
                    pause = max(SHOWN_EVERY_S, (shown_at - started) * SHOWN_SHARE)
        if news:
            await self._show()

    def _waiting(self, entries: dict[Path, Entry]) -> list[Entry]:
        found = [e for e in entries.values() if not e.hashed and e.listed.stamp and e.listed.stamp not in self._failed]
        return sorted(found, key=lambda entry: entry.listed.stamp[1] if entry.listed.stamp else 0)

    async def _hash(self, entry: Entry, book: dict[str, Any]) -> bool:
        listed = entry.listed
        assert listed.stamp is not None, "see _waiting"
        data_too = (entry.reading.kind or listed.root.kind) == "lora" and listed.path.suffix.lower() == ".safetensors"
        hashes = _from_book(book, listed.weights, listed.stamp, data_too=data_too)
        hashes = hashes or await self._hasher.hash(listed.weights, data_too=data_too)
        if hashes is None:
            self._failed.add(listed.stamp)
            return False
        if not await self._scanner.set_hashes(entry, hashes.sha256, hashes.autov3):
            self._failed.add(listed.stamp)  # it has changed, and its new stamp waits already
            return False
        return True


def _from_book(book: dict[str, Any], weights: Path, stamp: Stamp, *, data_too: bool) -> Hashes | None:
    place = f"{stamp[1]}:{stamp[2]}:{weights}"
    whole, data = book.get(f"file:{place}"), book.get(f"data:{place}")
    if not isinstance(whole, str) or len(whole) != 64 or (data_too and not (isinstance(data, str) and len(data) == 64)):
        return None
    return Hashes(whole, data[:12] if data_too and isinstance(data, str) else None)
