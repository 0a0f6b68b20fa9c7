"""All downloads: a few at once, each in the database from the first moment, gone on with after every interruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bot.downloads.fetch import GB, FetchLimits
from bot.downloads.records import Download, DownloadWish
from bot.downloads.web import Web
from bot.library import Library
from bot.settings import Settings
from bot.storage.database import Database

__all__ = ["DownloadRules", "Downloads"]


@dataclass(frozen=True, slots=True)
class DownloadRules:
    limits: FetchLimits = field(default_factory=FetchLimits)
    at_once: int = 2
    allowance: Callable[[DownloadWish], int | None] = lambda _: None
    """Bytes that the file may have, because of a quota; None: no bound but the limits'."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        limits = FetchLimits(size_bytes=int(settings.download_limit_gb * GB), time_s=settings.download_hours * 3600)
        return cls(limits, settings.downloads_at_once)


class Downloads:
    def __init__(self, database: Database, library: Library, web: Web, *, data: Path, rules: DownloadRules) -> None:
        """Unfinished files lie in `data/downloads`, refused ones in `data/quarantine`."""
        self._library = library

    async def start(self) -> None:
        """Goes on with what was interrupted."""

    async def stop(self) -> None:
        """What runs is interrupted and stays in the table."""

    async def add(self, wanted: DownloadWish) -> Download:
        """Stored when it returns. Raises UserFacingError, StorageFullError."""
        raise NotImplementedError

    async def add_file(self, path: Path, wanted: DownloadWish) -> Download:
        """A file that is here already (an attachment) goes through the same checks; it is moved away from `path`.
        Raises UserFacingError, StorageFullError."""
        raise NotImplementedError

    def active(self) -> tuple[Download, ...]:
        """Those that have not ended, oldest first; no I/O."""
        return ()

    async def get(self, id_: str) -> Download | None:
        return None

    async def cancel(self, id_: str) -> bool:
        """Whether this very call ended it."""
        return False

    def subscribe(self, listener: Callable[[Download], None]) -> None:
        """Called on the loop when a download changes state, and with its progress about twice a second."""
