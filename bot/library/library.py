"""The model library: which files there are, what is known of them, and the changes that people make to them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bot.library.arrival import Arrival
from bot.library.editing import Editing, EditingParts
from bot.library.files import LibraryFile, RefreshReport, ScanProgress
from bot.library.hashing import Hasher
from bot.library.hashqueue import HashQueue
from bot.library.previews import Previews
from bot.library.reading import FileReader
from bot.library.scanner import Changes, Scanner
from bot.library.sizes import file_bytes
from bot.library.snapshot import Snapshot, Sources, build_snapshot
from bot.library.usage import UsageCounter
from bot.storage.database import Database, StorageFullError
from bot.storage.library import LibraryStore, Record
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = ["Library"]

log = logging.getLogger(__name__)

POLL_S = 5.0
POLL_SHARE = 50
"""A look at the folders may take this part of the time at most, however slow their disk is."""
FIRST_WAIT_S = 5.0
FLUSH_S = 1.0
TRASH_KEPT_S = 7 * 24 * 3600.0
TRASH_EVERY_S = 3600.0
FOLDERS: dict[ModelKind, str] = {
    "checkpoint": "checkpoints", "vae": "vae", "lora": "loras", "embedding": "embeddings", "controlnet": "controlnet",
    "upscaler": "upscalers", "face": "face", "annotator": "annotators", "tagger": "taggers",
    "preview": "previews", "detector": "detectors",
}  # fmt: skip


class Library:
    def __init__(
        self,
        database: Database,
        *,
        models_dir: Path,
        demo_dir: Path,
        extra_folders: Sequence[Path] = (),
        family_by_hash: Callable[[str], str | None] = lambda _: None,
        forget: Callable[[Iterable[str]], Awaitable[None]] | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """`family_by_hash` is what the catalogue says of a SHA-256. `forget` is told ids behind which there will be
        another file, or none any more: what was said about the old one is not said about the new one."""
        self._store = LibraryStore(database)
        self._models_dir = models_dir
        self._extra = tuple(extra_folders)
        self._data_dir = models_dir.parent
        self._family_by_hash = family_by_hash
        self._poll_s = poll_s
        self._previews = Previews(self._data_dir / "previews")
        self._scanner = Scanner(
            self._store, FileReader(), models_dir=models_dir, demo_dir=demo_dir, extra_folders=extra_folders
        )
        self._hashes = HashQueue(self._scanner, Hasher(), self._data_dir / "hashes.json", self._rebuild)
        self._snapshot = Snapshot()
        self._records: dict[str, Record] = {}
        self._usage = UsageCounter(self._store)
        self._editing = Editing(
            EditingParts(
                store=self._store,
                scanner=self._scanner,
                previews=self._previews,
                records=self._records,
                models_dir=models_dir,
                data_dir=self._data_dir,
                get=self.get,
                folder=self.folder,
                rebuild=self._rebuild,
                reload_usage=self._usage.load,
                tell_files=self._files_changed,
                forget=forget,
            )
        )
        self._files_listeners: list[Callable[[], None]] = []
        self._watchers: list[Callable[[ScanProgress], None]] = []
        self._asked = 0
        self._served = 0
        self._report = RefreshReport(0, (), (), (), 0, 0.0)
        self._scanning = asyncio.Lock()
        self._building = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    # --- life ---------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """The snapshot from the database; only a library that was never scanned is waited for, a few seconds."""
        self._records.update(await self._store.records())
        await self._usage.load()
        await self._scanner.load()
        await self._rebuild()
        if not self._scanner.entries:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_WAIT_S):
                    await self._refresh_quietly()

    async def start(self) -> None:
        """Begins the refreshes, the hashing and the storing of what was used, in the background."""
        self._tasks = [
            asyncio.create_task(self._poll_forever(), name="library-poll"),
            asyncio.create_task(self._hashes.run(), name="library-hashes"),
            asyncio.create_task(self._flush_forever(), name="library-usage"),
        ]

    async def stop(self) -> None:
        """Bounded by one piece of one file."""
        self._hashes.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with contextlib.suppress(StorageFullError):
            await self._flush()

    async def refresh(self, on_progress: Callable[[ScanProgress], None] | None = None) -> RefreshReport:
        """Reads what changed, off the loop. Whoever asks while one runs gets the report of the next.

        Raises StorageFullError, OSError where no process can be started.
        """
        self._asked += 1
        ticket = self._asked
        if on_progress:
            self._watchers.append(on_progress)
        try:
            async with self._scanning:
                if self._served < ticket:
                    self._report = await self._scan(all_again=True)
                return self._report
        finally:
            if on_progress:
                self._watchers.remove(on_progress)

    # --- the snapshot -------------------------------------------------------------------------------------------------

    def files(self, kind: ModelKind | None = None) -> tuple[LibraryFile, ...]:
        """The snapshot, in the worker's order; no I/O."""
        files = self._snapshot.files
        return files if kind is None else tuple(file for file in files if file.kind == kind)

    def facts(self) -> tuple[ModelFact, ...]:
        """The same as a worker would report it."""
        return self._snapshot.facts

    def get(self, id_: str) -> LibraryFile | None:
        return self._snapshot.by_id.get(id_)

    def find(self, kind: ModelKind, name: str) -> LibraryFile | None:
        """By exact name, else by alias."""
        return self._snapshot.by_name.get((kind, name))

    def folder(self, kind: ModelKind) -> Path:
        """Where new files of a kind go."""
        if kind == "face" and (self._models_dir / "faces").is_dir():
            return self._models_dir / "faces"  # its name in an earlier version
        return self._models_dir / FOLDERS[kind]

    def subscribe_files(self, listener: Callable[[], None]) -> None:
        """Called on the loop after files came, went or changed: workers should look, too."""
        self._files_listeners.append(listener)

    # --- changes ------------------------------------------------------------------------------------------------------

    async def adopt(self, arrival: Arrival) -> LibraryFile:
        """Moves a file into its folder, atomically, never over another, and reads it. Raises UserFacingError."""
        return await self._editing.adopt(arrival)

    async def rename(self, id_: str, name: str) -> LibraryFile:
        """The file gets a new name, and with it a new id. Raises UserFacingError."""
        return await self._editing.rename(id_, name)

    async def remove(self, id_: str) -> str:
        """Into the trash; returns what `restore` takes. Raises UserFacingError."""
        return await self._editing.remove(id_)

    async def restore(self, undo_id: str) -> LibraryFile:
        """Raises UserFacingError."""
        return await self._editing.restore(undo_id)

    async def trashed(self) -> frozenset[str]:
        """What `restore` takes now."""
        return frozenset(row.id for row in await self._store.trash())

    async def trash_sizes(self) -> list[tuple[int | None, int]]:
        """Who had added it, and bytes, of each removed file that is still kept."""
        rows = await self._store.trash()
        return await asyncio.to_thread(lambda: [(row.record.added_in, file_bytes(Path(row.kept_in))) for row in rows])

    async def forget_trash(self, older_than_s: float, *, added_in: int | None = None) -> int:
        """Deletes for good what was removed longer ago; with `added_in` only what that server had added. How many."""
        return await self._editing.forget_trash(older_than_s, added_in)

    async def annotate(self, id_: str, *, note: str | None = None, preview: bytes | None = None) -> LibraryFile:
        """None leaves as it is; an empty note or picture takes it away. Raises UserFacingError."""
        return await self._editing.annotate(id_, note=note, preview=preview)

    # --- usage --------------------------------------------------------------------------------------------------------

    async def used(self, names: Sequence[tuple[ModelKind, str]], user_id: int) -> None:
        """A picture was asked for with these; stored within a second, for nobody should wait for it."""
        self._usage.note(names, user_id)

    async def history_of(self, user_id: int) -> Mapping[tuple[ModelKind, str], int]:
        """Times this user used each."""
        return await self._usage.of(user_id)

    # --- in the background --------------------------------------------------------------------------------------------

    async def _poll_forever(self) -> None:
        try:
            await self._editing.mend()
        except Exception:
            log.exception("what a crash left could not be mended; the next start tries again")
        emptied_at = -TRASH_EVERY_S
        while True:
            started = time.monotonic()
            if started - emptied_at > TRASH_EVERY_S:
                emptied_at = started
                await self._empty_trash()
            await self._refresh_quietly()
            took = time.monotonic() - started
            soon = self._scanner.next_look_s
            pause = max(self._poll_s, took * POLL_SHARE)
            await asyncio.sleep(pause if soon is None else max(min(pause, soon), took))

    async def _refresh_quietly(self) -> None:
        try:
            async with self._scanning:
                await self._scan()
        except (StorageFullError, OSError):
            log.exception("the model folders could not be read; it is tried again")
        except Exception:
            log.exception("a refresh of the library failed by a bug; it is tried again")

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await self._flush()
            except Exception:
                log.exception("what was used could not be stored; it is tried again")

    async def _flush(self) -> None:
        totals = await self._usage.flush()
        if not totals:
            return
        # A picture a second must not mean a look at every file a second.
        async with self._building:
            self._snapshot = self._snapshot.with_usage(totals)

    async def _empty_trash(self) -> None:
        try:
            await self.forget_trash(TRASH_KEPT_S)
        except Exception:
            log.exception("the trash could not be emptied; it is tried again")

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _scan(self, *, all_again: bool = False) -> RefreshReport:
        """`self._scanning` is held."""
        ticket = self._asked
        started = time.monotonic()
        before = self._snapshot
        changes = Changes((), (), ())
        try:
            changes = await self._scanner.scan(self._progressed, all_again=all_again)
        finally:
            if changes or not before.files or len(before.files) != len(self._snapshot.files):
                await self._rebuild()
        self._served = max(self._served, ticket)
        if changes:
            self._files_changed()
        ids = {file.path: file.id for file in self._snapshot.files}
        names = {file.path: file.name for file in before.files}
        return RefreshReport(
            total=len(self._snapshot.files),
            added=tuple(ids[path] for path in changes.added if path in ids),
            removed=tuple(names[path] for path in changes.removed if path in names),
            changed=tuple(ids[path] for path in changes.changed if path in ids),
            unusable=sum(file.problem is not None for file in self._snapshot.files),
            took_s=time.monotonic() - started,
        )

    def _progressed(self, progress: ScanProgress) -> None:
        for watcher in list(self._watchers):
            watcher(progress)

    async def _rebuild(self) -> None:
        async with self._building:
            entries = self._scanner.entries
            sources = Sources(
                self._models_dir, self._previews, dict(self._records), dict(self._usage.totals), self._scanner.demo,
                self._family_by_hash,
            )  # fmt: skip
            snapshot = await asyncio.to_thread(build_snapshot, entries, sources)
            self._snapshot = snapshot

    def _files_changed(self) -> None:
        self._hashes.wake()
        for listener in self._files_listeners:
            try:
                listener()
            except Exception:
                log.exception("a listener failed; the library goes on")
