"""The operator's catalogue as its files are now: a running bot needs no restart for an edit or for `models verify`."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from bot.catalogue import (
    SHIPPED,
    Catalogue,
    CatalogueError,
    load_catalogue,
    operator_file,
    operators_catalogue,
    verified_file,
)

__all__ = ["LiveCatalogue"]

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]


class LiveCatalogue:
    """With a mistake in a file of the operator's, what was read before stays; at the start, what ships."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._files = (SHIPPED, operator_file(data), verified_file(data))
        self._newest: Catalogue | None = None
        self._stamp: Stamp | None = None
        self._reading = asyncio.Lock()

    async def current(self) -> Catalogue:
        async with self._reading:
            return await asyncio.to_thread(self._look)

    def family_of(self, sha256: str) -> str | None:
        """By what was read last; no I/O."""
        return self._newest.family_of(sha256) if self._newest is not None else None

    def address_of(self, sha256: str) -> str | None:
        """One that gives a file with this hash, by what was read last; no I/O."""
        entry = self._newest.by_sha256(sha256) if self._newest is not None else None
        return entry.urls[0] if entry is not None and entry.urls else None

    def _look(self) -> Catalogue:
        stamp = tuple(_stamp(file) for file in self._files)
        if self._newest is None or stamp != self._stamp:
            self._stamp = stamp
            try:
                self._newest = operators_catalogue(self._data)
            except (CatalogueError, OSError) as error:
                log.error("the operator's catalogue is left as it was before: %s", error)
                self._newest = self._newest or load_catalogue()
        return self._newest


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
