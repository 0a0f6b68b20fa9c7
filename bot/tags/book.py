"""The tags that are known: the list that ships and the operator's, read on a thread, again whenever a file changed."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from bot.tags.entries import Tag, merged, read_rows, tags_in
from bot.tags.index import TagIndex

__all__ = ["LOOK_EVERY_S", "SHIPPED", "TagBook"]

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "shipped"
FILE_BYTES_MAX = 32 << 20
TAGS_MAX = 500_000
LOOK_EVERY_S = 5.0

Stamps = tuple[tuple[str, int, int], ...]


class TagBook:
    def __init__(self, folder: Path, *, shipped: Path = SHIPPED, clock: Callable[[], float] = time.monotonic) -> None:
        self.index = TagIndex()
        """Of what was read last; replaced as a whole."""
        self._folder = folder
        self._shipped = shipped
        self._clock = clock
        self._stamps: Stamps = ()
        self._looked_at: float | None = None
        self._turn = asyncio.Lock()
        self._looking: set[asyncio.Task[None]] = set()

    async def refresh(self) -> None:
        """Reads what changed; until then the old index answers."""
        async with self._turn:
            self._looked_at = self._clock()
            self.index, self._stamps = await asyncio.to_thread(self._read)

    def look(self) -> None:
        """Sees to it, some seconds apart, that what changed is read; costs the caller nothing."""
        if self._looked_at is not None and self._clock() - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = self._clock()
        task = asyncio.create_task(self.refresh(), name="tags")
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def stop(self) -> None:
        await asyncio.gather(*self._looking, return_exceptions=True)

    def _read(self) -> tuple[TagIndex, Stamps]:
        files = [*_files(self._shipped), *_files(self._folder)]
        stamps = tuple((str(path), stat[0], stat[1]) for path, stat in files)
        if stamps == self._stamps:
            return self.index, stamps
        collecting = gc.isenabled()
        gc.disable()  # objects by the hundred thousand, all in use: to walk them in vain would hold up everything
        try:
            tags = merged(_read_list(path) for path, _ in files)
            if len(tags) > TAGS_MAX:
                log.warning("%s tags are more than are kept; the least used ones are left out", len(tags))
            index = TagIndex(islice(tags, TAGS_MAX))
        finally:
            if collecting:
                gc.enable()
        log.info("%s tags can be completed", len(index))
        return index, stamps


def _files(folder: Path) -> list[tuple[Path, tuple[int, int]]]:
    found: list[tuple[Path, tuple[int, int]]] = []
    try:
        for path in sorted(folder.glob("*.csv")):
            facts = path.stat()
            if facts.st_size > FILE_BYTES_MAX:
                log.warning("the tag list %s is larger than is read: left out", path)
            else:
                found.append((path, (facts.st_mtime_ns, facts.st_size)))
    except OSError as error:
        log.warning("tag lists cannot be looked for in %s: %s", folder, error)
    return found


def _read_list(path: Path) -> list[Tag]:
    try:
        text = path.read_bytes()[:FILE_BYTES_MAX].decode("utf-8-sig", "replace")
        return [*tags_in(read_rows(text), e621="e621" in path.name.casefold())]
    except (OSError, ValueError) as error:
        log.warning("the tag list %s cannot be read: %s", path, error)
        return []
