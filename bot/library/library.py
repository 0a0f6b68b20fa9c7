"""The model library: which files there are, what is known of them, and the changes that people make to them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bot.errors import UserFacingError
from bot.library.entries import Entry
from bot.library.files import LibraryFile, RefreshReport, ScanProgress
from bot.library.hashing import Hasher
from bot.library.hashqueue import HashQueue
from bot.library.moves import from_trash, move_in, rename_beside, to_trash
from bot.library.paths import file_id, numbered, safe_stem, split_name
from bot.library.previews import Previews
from bot.library.reading import FileReader
from bot.library.scanner import Changes, Scanner
from bot.library.snapshot import Snapshot, Sources, build_snapshot
from bot.storage.database import Database, StorageFullError
from bot.storage.library import LibraryStore, Record, TrashRow, Usage
from gpu_worker.language.trees import Tree, find_tree
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
        poll_s: float = POLL_S,
    ) -> None:
        """`family_by_hash` is what the catalogue says of a SHA-256."""
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
        self._usage: dict[tuple[ModelKind, str], Usage] = {}
        self._pending: Counter[tuple[ModelKind, str, int]] = Counter()
        self._listeners: list[Callable[[], None]] = []
        self._files_listeners: list[Callable[[], None]] = []
        self._watchers: list[Callable[[ScanProgress], None]] = []
        self._asked = 0
        self._served = 0
        self._report = RefreshReport(0, (), (), (), 0, 0.0)
        self._scanning = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._building = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    # --- life ---------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """The snapshot from the database; only a library that was never scanned is waited for, a few seconds."""
        self._records = await self._store.records()
        self._usage = await self._store.usage()
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

    async def trees(self) -> tuple[Tree, ...]:
        """What the operator's extra folders were recognised as."""
        return tuple(await asyncio.to_thread(lambda: [find_tree(folder) for folder in self._extra]))

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Called on the loop after the snapshot changed."""
        self._listeners.append(listener)

    def subscribe_files(self, listener: Callable[[], None]) -> None:
        """Called on the loop after files came, went or changed: workers should look, too."""
        self._files_listeners.append(listener)

    # --- changes ------------------------------------------------------------------------------------------------------

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
        stem, suffix = split_name(name, path.name)
        async with self._changing:
            folder = self.folder(kind)
            if not await asyncio.to_thread(lambda: path.is_file() and not path.is_symlink()):
                raise UserFacingError("library_no_file", name=stem)
            kept = await self._kept_preview(file_id(folder / f"{stem}{suffix}", self._models_dir), preview)
            record = Record(added_by, added_in, source, time.time(), None, kept)

            async def announce(target: Path) -> None:
                id_ = file_id(target, self._models_dir)
                # Before the file is there: whose it is must be known as soon as it is seen.
                await self._store.put_record(id_, record)
                self._records[id_] = record

            target = await self._free_place(folder, stem, suffix)
            await announce(target)
            try:
                moved = await asyncio.to_thread(move_in, path, folder, target.stem, suffix)
            except OSError as error:
                raise UserFacingError("library_disk", name=stem) from error
            if moved != target:  # somebody took that name in this very moment
                await self._drop_record(file_id(target, self._models_dir))
                await announce(moved)
            return await self._look_at(moved)

    async def rename(self, id_: str, name: str) -> LibraryFile:
        """The file gets a new name, and with it a new id. Raises UserFacingError."""
        async with self._changing:
            file, entry = self._ours(id_)
            suffix = "" if entry.listed.folder else file.path.suffix
            stem = safe_stem(name.removesuffix(suffix) if suffix else name)
            target = file.path.with_name(f"{stem}{suffix}")
            new_id = file_id(target, self._models_dir)
            if target == file.path:
                return file
            if new_id in self._snapshot.by_id:
                raise UserFacingError("library_name_taken", name=stem)
            record = self._records.get(id_) or Record(added_at=file.added_at)
            await self._store.put_record(new_id, record)
            try:
                await asyncio.to_thread(rename_beside, file.path, stem, _beside(entry))
            except FileExistsError as error:
                await self._store.drop_record(new_id)
                raise UserFacingError("library_name_taken", name=stem) from error
            except OSError as error:
                await self._store.drop_record(new_id)
                raise UserFacingError("library_disk", name=file.name) from error
            self._records[new_id] = record
            await self._drop_record(id_)
            await self._scanner.move(file.path, target)
            await self._rebuild()
            renamed = self._snapshot.by_id.get(new_id)
            if renamed is None:
                raise UserFacingError("library_gone")
            await self._store.rename_usage(file.kind, file.name, renamed.name)
            self._usage = await self._store.usage()
            await self._rebuild()
            self._tell_files()
            return self._snapshot.by_id.get(new_id, renamed)

    async def remove(self, id_: str) -> str:
        """Into the trash; returns what `restore` takes. Raises UserFacingError."""
        async with self._changing:
            file, entry = self._ours(id_)
            undo_id = secrets.token_hex(5)
            record = self._records.get(id_) or Record(added_at=file.added_at)
            last: OSError | None = None
            # The models may lie on another disk than the rest of the data folder.
            for trash in (self._data_dir / "trash", file.path.parent / ".trash"):
                row = TrashRow(undo_id, str(file.path), str(trash / undo_id), time.time(), record)
                await self._store.put_trash(row)
                try:
                    await asyncio.to_thread(to_trash, file.path, Path(row.kept_in), _beside(entry))
                    break
                except OSError as error:
                    last = error
                    await self._store.drop_trash(undo_id)
                    await asyncio.to_thread(shutil.rmtree, row.kept_in, ignore_errors=True)
            else:
                raise UserFacingError("library_disk", name=file.name) from last
            await self._drop_record(id_)
            await self._scanner.forget(file.path)
            await self._rebuild()
            self._tell_files()
            return undo_id

    async def restore(self, undo_id: str) -> LibraryFile:
        """Raises UserFacingError."""
        async with self._changing:
            row = await self._store.trashed(undo_id)
            if row is None:
                raise UserFacingError("library_undo_gone")
            original = Path(row.path)
            id_ = file_id(original, self._models_dir)
            if not await asyncio.to_thread(original.exists):
                await self._store.put_record(id_, row.record)
            try:
                target = await asyncio.to_thread(from_trash, Path(row.kept_in), original)
            except FileNotFoundError as error:
                await self._store.drop_trash(undo_id)
                raise UserFacingError("library_undo_gone") from error
            except OSError as error:
                raise UserFacingError("library_disk", name=original.stem) from error
            restored_id = file_id(target, self._models_dir)
            await self._store.put_record(restored_id, row.record)
            self._records[restored_id] = row.record
            await self._store.drop_trash(undo_id)
            return await self._look_at(target)

    async def forget_trash(self, older_than_s: float) -> None:
        """Deletes for good what was removed longer ago."""
        async with self._changing:
            for row in await self._store.trash():
                if time.time() - row.removed_at >= older_than_s:
                    await asyncio.to_thread(shutil.rmtree, row.kept_in, ignore_errors=True)
                    await asyncio.to_thread(self._previews.drop, row.record.preview)
                    await self._store.drop_trash(row.id)

    async def annotate(self, id_: str, *, note: str | None = None, preview: bytes | None = None) -> LibraryFile:
        """None leaves as it is; an empty note or picture takes it away. Raises UserFacingError."""
        async with self._changing:
            file = self.get(id_)
            if file is None:
                raise UserFacingError("library_gone")
            old = record = self._records.get(id_, Record(added_at=file.added_at))
            if note is not None:
                record = replace(record, note=note.strip() or None)
            if preview is not None:
                try:
                    name = await asyncio.to_thread(self._previews.keep, id_, preview) if preview else None
                except OSError as error:
                    raise UserFacingError("library_disk", name=file.name) from error
                record = replace(record, preview=name)
            await self._store.put_record(id_, record)
            self._records[id_] = record
            if old.preview != record.preview:
                await asyncio.to_thread(self._previews.drop, old.preview)
            await self._rebuild()
            return self._snapshot.by_id.get(id_, file)

    # --- usage --------------------------------------------------------------------------------------------------------

    async def used(self, names: Sequence[tuple[ModelKind, str]], user_id: int) -> None:
        """A picture was asked for with these; stored within a second, for nobody should wait for it."""
        self.note_use(names, user_id)

    def note_use(self, names: Sequence[tuple[ModelKind, str]], user_id: int) -> None:
        for kind, name in dict.fromkeys(names):
            self._pending[kind, name, user_id] += 1

    async def history_of(self, user_id: int) -> Mapping[tuple[ModelKind, str], int]:
        """Times this user used each."""
        found = await self._store.usage_of(user_id)
        for (kind, name, user), times in self._pending.items():
            if user == user_id:
                found[kind, name] = found.get((kind, name), 0) + times
        return found

    async def _flush(self) -> None:
        if not self._pending:
            return
        used, self._pending = self._pending, Counter()
        now = time.time()
        try:
            await self._store.add_usage(used, now)
        except BaseException:
            self._pending.update(used)
            raise
        for (kind, name, _), times in used.items():
            before = self._usage.get((kind, name))
            self._usage[kind, name] = Usage((before.times if before else 0) + times, now)
        await self._rebuild()

    # --- in the background --------------------------------------------------------------------------------------------

    async def _poll_forever(self) -> None:
        await self._mend_trash()
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

    async def _mend_trash(self) -> None:
        """A removal that a crash cut short before the file moved has not happened."""
        try:
            for row in await self._store.trash():
                if not await asyncio.to_thread((Path(row.kept_in) / Path(row.path).name).exists):
                    await self._store.drop_trash(row.id)
                    await asyncio.to_thread(shutil.rmtree, row.kept_in, ignore_errors=True)
        except (StorageFullError, OSError):
            log.exception("the trash could not be looked through")

    async def _empty_trash(self) -> None:
        try:
            await self.forget_trash(TRASH_KEPT_S)
        except (StorageFullError, OSError):
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
            self._tell_files()
            self._hashes.wake()
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
                self._models_dir, self._previews, dict(self._records), dict(self._usage), self._scanner.demo,
                self._family_by_hash,
            )  # fmt: skip
            snapshot = await asyncio.to_thread(build_snapshot, entries, sources)
            self._snapshot = snapshot
        for listener in self._listeners:
            try:
                listener()
            except Exception:
                log.exception("a listener failed; the library goes on")

    def _tell_files(self) -> None:
        for listener in self._files_listeners:
            try:
                listener()
            except Exception:
                log.exception("a listener failed; the library goes on")

    async def _look_at(self, path: Path) -> LibraryFile:
        try:
            await self._scanner.look_at(path)
        except OSError as error:
            raise UserFacingError("library_disk", name=path.stem) from error
        await self._rebuild()
        self._tell_files()
        self._hashes.wake()
        found = self._snapshot.by_id.get(file_id(path, self._models_dir))
        if found is None:
            raise UserFacingError("library_gone")
        return found

    def _ours(self, id_: str) -> tuple[LibraryFile, Entry]:
        """Raises UserFacingError: `library_gone`, `library_read_only`."""
        file = self.get(id_)
        entry = self._scanner.entries.get(file.path) if file else None
        if file is None or (entry is None and not file.read_only):
            raise UserFacingError("library_gone")
        if entry is None or file.read_only:
            raise UserFacingError("library_read_only", name=file.name)
        return file, entry

    async def _drop_record(self, id_: str) -> None:
        await self._store.drop_record(id_)
        self._records.pop(id_, None)

    async def _kept_preview(self, id_: str, preview: Path | None) -> str | None:
        """A preview is a nicety: one that cannot be used keeps no model out."""
        if preview is None:
            return None
        try:
            return await asyncio.to_thread(lambda: self._previews.keep(id_, preview.read_bytes()))
        except (OSError, UserFacingError) as error:
            log.warning("a preview was left out: %r", error)
            return None

    async def _free_place(self, folder: Path, stem: str, suffix: str) -> Path:
        def look() -> Path:
            number = 1
            while (path := folder / f"{numbered(stem, number)}{suffix}").exists() or path.is_symlink():
                number += 1
            return path

        return await asyncio.to_thread(look)


def _beside(entry: Entry) -> tuple[str, ...]:
    return tuple(name for name, size, _ in entry.beside_stamp if size)
