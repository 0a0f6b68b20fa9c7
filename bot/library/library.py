"""The model library: which files there are, what is known of them, and the changes that people make to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bot.library.files import LibraryFile, RefreshReport, ScanProgress
from bot.storage.database import Database
from gpu_worker.protocol.messages import ModelKind

__all__ = ["Library"]


class Library:
    def __init__(
        self, database: Database, *, models_dir: Path, demo_dir: Path, extra_folders: Sequence[Path] = ()
    ) -> None:
        self._db = database
        self._models_dir = models_dir
        self._demo_dir = demo_dir
        self._extra = tuple(extra_folders)

    async def load(self) -> None:
        """The snapshot from the database; no folder is read."""

    async def start(self) -> None:
        """Begins the refreshes and the hashing in the background."""

    async def stop(self) -> None:
        """Bounded by one piece of one file."""

    async def refresh(self, on_progress: Callable[[ScanProgress], None] | None = None) -> RefreshReport:
        """Reads what changed, off the loop. Whoever asks while one runs gets the report of the next."""
        raise NotImplementedError

    def files(self, kind: ModelKind | None = None) -> tuple[LibraryFile, ...]:
        """The snapshot, in the worker's order; no I/O."""
        return ()

    def get(self, id_: str) -> LibraryFile | None:
        return None

    def find(self, kind: ModelKind, name: str) -> LibraryFile | None:
        """By exact name, else by alias."""
        return None

    def folder(self, kind: ModelKind) -> Path:
        """Where new files of a kind go."""
        raise NotImplementedError

    async def adopt(
        self,
        path: Path,
        kind: ModelKind,
        *,
        name: str,
        source: str | None,
        added_by: int | None,
        added_in: int | None,
        preview: Path | None = None,
    ) -> LibraryFile:
        """Moves a finished, checked file into its folder, atomically, never over another, and reads that file.

        `name` is a file name, with or without a suffix; what no file system takes is replaced. A name that is
        taken gets a number. Raises UserFacingError.
        """
        raise NotImplementedError

    async def rename(self, id_: str, name: str) -> LibraryFile:
        """The file gets a new name, and with it a new id. Raises UserFacingError."""
        raise NotImplementedError

    async def remove(self, id_: str) -> str:
        """Into the trash; returns what `restore` takes. Raises UserFacingError."""
        raise NotImplementedError

    async def restore(self, undo_id: str) -> LibraryFile:
        """Raises UserFacingError."""
        raise NotImplementedError

    async def forget_trash(self, older_than_s: float) -> None:
        """Deletes for good what was removed longer ago."""

    async def annotate(self, id_: str, *, note: str | None = None, preview: bytes | None = None) -> LibraryFile:
        """None leaves as it is; an empty note or picture takes it away. Raises UserFacingError."""
        raise NotImplementedError

    async def used(self, names: Sequence[tuple[ModelKind, str]], user_id: int) -> None:
        """A picture was asked for with these."""

    async def history_of(self, user_id: int) -> Mapping[tuple[ModelKind, str], int]:
        """Times this user used each."""
        return {}

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Called on the loop after the snapshot changed."""
