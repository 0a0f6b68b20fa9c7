"""One download on its way: what of it is in the table, and who is told."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator
from pathlib import Path

from bot.downloads.fetch import FetchProgress
from bot.downloads.records import Download, DownloadState
from bot.downloads.rows import row_of
from bot.downloads.sources import Source
from bot.library import LibraryFile
from bot.storage.downloads import DownloadStore

__all__ = ["Run"]

TELL_EVERY_S = 0.5


class Run:
    """The Course that a download's work goes along."""

    def __init__(
        self,
        download: Download,
        source: Source | None,
        folder: Path,
        created_at: float,
        store: DownloadStore,
        tell: Callable[[Download], None],
    ) -> None:
        self.download = download
        self.source = source
        self.folder = folder
        self.created_at = created_at
        self.begun_at = time.time()
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False
        self.is_settling = False
        """Too late to cancel."""
        self._store = store
        self._tell = tell
        self._told_at = 0.0

    async def enter(self, state: DownloadState) -> None:
        self.download = dataclasses.replace(self.download, state=state, rate_bytes_s=0.0, eta_s=None)
        await self._store.save(row_of(self.download, self.source, self.created_at))
        self._tell(self.download)

    async def brought(self, file: LibraryFile) -> None:
        ids = tuple(dict.fromkeys((*self.download.file_ids, file.id)))
        self.download = dataclasses.replace(self.download, file_ids=ids)
        await self._store.save(row_of(self.download, self.source, self.created_at))

    def progressed(self, progress: FetchProgress) -> None:
        self.download = dataclasses.replace(
            self.download,
            filename=progress.filename or self.download.filename,
            received_bytes=progress.received_bytes,
            total_bytes=progress.total_bytes,
            rate_bytes_s=progress.rate_bytes_s,
            eta_s=progress.eta_s,
        )
        if time.monotonic() - self._told_at >= TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._tell(self.download)

    @contextlib.contextmanager
    def settling(self) -> Generator[None]:
        self.is_settling = True
        try:
            yield
        finally:
            self.is_settling = False
