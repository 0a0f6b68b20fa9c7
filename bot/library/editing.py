"""What people change: every step in an order in which a crash leaves the file where it was, or where it should be."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bot.errors import UserFacingError
from bot.library.arrival import Arrival
from bot.library.entries import Entry
from bot.library.files import LibraryFile
from bot.library.moves import from_trash, is_taken, move_in, rename_beside, sweep_parts, to_trash
from bot.library.paths import file_id, numbered, safe_stem, split_name
from bot.library.previews import Previews
from bot.library.scanner import Scanner
from bot.storage.database import StorageFullError
from bot.storage.library import LibraryStore, Record, TrashRow
from gpu_worker.language.models import KINDS
from gpu_worker.protocol.messages import ModelKind

__all__ = ["Editing", "EditingParts"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EditingParts:
    """What the library lends. `records` is the library's own table of them, by id."""

    store: LibraryStore
    scanner: Scanner
    previews: Previews
    records: dict[str, Record]
    models_dir: Path
    data_dir: Path
    get: Callable[[str], LibraryFile | None]
    folder: Callable[[ModelKind], Path]
    rebuild: Callable[[], Awaitable[None]]
    reload_usage: Callable[[], Awaitable[None]]
    tell_files: Callable[[], None]
    forget: Callable[[Iterable[str]], Awaitable[None]] | None = None
    """Told ids behind which there is another file now, or none for good."""


class Editing:
    """The methods of Library that change something; see there for what they promise."""

    def __init__(self, parts: EditingParts) -> None:
        self._parts = parts
        self._turn = asyncio.Lock()

    async def adopt(self, arrival: Arrival) -> LibraryFile:
        stem, suffix = split_name(arrival.name, arrival.path.name)
        async with self._turn:
            folder = self._parts.folder(arrival.kind)
            if not await asyncio.to_thread(lambda: arrival.path.is_file() and not arrival.path.is_symlink()):
                raise UserFacingError("library_no_file", name=stem)
            kept = await self._kept_preview(
                file_id(folder / f"{stem}{suffix}", self._parts.models_dir), arrival.preview
            )
            record = Record(arrival.added_by, arrival.added_in, arrival.source, time.time(), None, kept)

            async def announce(target: Path) -> None:
                id_ = file_id(target, self._parts.models_dir)
                await self._forget(id_)
                # Before the file is there: whose it is must be known as soon as it is seen.
                await self._parts.store.put_record(id_, record)
                self._parts.records[id_] = record
                if arrival.before_seen is not None:
                    await arrival.before_seen(id_)

            target = await self._free_place(arrival.path, folder, stem, suffix)
            await announce(target)
            try:
                moved = await asyncio.to_thread(move_in, arrival.path, folder, target.stem, suffix)
            except OSError as error:
                await self._drop_record(file_id(target, self._parts.models_dir))
                await asyncio.to_thread(self._parts.previews.drop, kept)
                raise UserFacingError("library_disk", name=stem) from error
            if moved != target:  # somebody took that name in this very moment
                await self._drop_record(file_id(target, self._parts.models_dir))
                await announce(moved)
            return await self._look_at(moved)

    async def rename(self, id_: str, name: str) -> LibraryFile:
        """The file gets a new name, and with it a new id. Raises UserFacingError."""
        async with self._turn:
            file, entry = self._ours(id_)
            suffix = "" if entry.listed.folder else file.path.suffix
            stem = safe_stem(name.removesuffix(suffix) if suffix else name)
            target = file.path.with_name(f"{stem}{suffix}")
            new_id = file_id(target, self._parts.models_dir)
            if target == file.path:
                return file
            if self._parts.get(new_id) is not None:
                raise UserFacingError("library_name_taken", name=stem)
            record = self._parts.records.get(id_) or Record(added_at=file.added_at)
            await self._parts.store.put_record(new_id, record)
            try:
                await asyncio.to_thread(rename_beside, file.path, stem, _beside(entry), self._shared(entry))
            except FileExistsError as error:
                await self._parts.store.drop_record(new_id)
                raise UserFacingError("library_name_taken", name=stem) from error
            except OSError as error:
                await self._parts.store.drop_record(new_id)
                raise UserFacingError("library_disk", name=file.name) from error
            self._parts.records[new_id] = record
            await self._drop_record(id_)
            await self._parts.scanner.move(file.path, target)
            await self._parts.rebuild()
            renamed = self._parts.get(new_id)
            if renamed is None:
                raise UserFacingError("library_gone")
            await self._parts.store.rename_usage(file.kind, file.name, renamed.name)
            await self._parts.reload_usage()
            await self._parts.rebuild()
            self._parts.tell_files()
            return self._parts.get(new_id) or renamed

    async def remove(self, id_: str) -> str:
        """Into the trash; returns what `restore` takes. Raises UserFacingError."""
        async with self._turn:
            file, entry = self._ours(id_)
            undo_id = secrets.token_hex(5)
            record = self._parts.records.get(id_) or Record(added_at=file.added_at)
            shared = self._shared(entry)
            last: OSError | None = None
            # The models may lie on another disk than the rest of the data folder.
            for trash in (self._parts.data_dir / "trash", file.path.parent / ".trash"):
                row = TrashRow(undo_id, str(file.path), str(trash / undo_id), time.time(), record)
                await self._parts.store.put_trash(row)
                try:
                    await asyncio.to_thread(to_trash, file.path, Path(row.kept_in), _beside(entry), shared)
                    break
                except OSError as error:
                    last = error
                    await self._parts.store.drop_trash(undo_id)
                    await asyncio.to_thread(shutil.rmtree, row.kept_in, ignore_errors=True)
            else:
                raise UserFacingError("library_disk", name=file.name) from last
            await self._drop_record(id_)
            await self._parts.scanner.forget(file.path)
            await self._parts.rebuild()
            self._parts.tell_files()
            return undo_id

    async def restore(self, undo_id: str) -> LibraryFile:
        """Raises UserFacingError."""
        async with self._turn:
            row = await self._parts.store.trashed(undo_id)
            if row is None:
                raise UserFacingError("library_undo_gone")
            original = Path(row.path)
            id_ = file_id(original, self._parts.models_dir)
            if not await asyncio.to_thread(original.exists):
                await self._parts.store.put_record(id_, row.record)
            try:
                target = await asyncio.to_thread(from_trash, Path(row.kept_in), original)
            except FileNotFoundError as error:
                await self._parts.store.drop_trash(undo_id)
                raise UserFacingError("library_undo_gone") from error
            except OSError as error:
                raise UserFacingError("library_disk", name=original.stem) from error
            restored_id = file_id(target, self._parts.models_dir)
            if restored_id != id_:  # its place is taken meanwhile
                await self._forget(restored_id)
            await self._parts.store.put_record(restored_id, row.record)
            self._parts.records[restored_id] = row.record
            await self._parts.store.drop_trash(undo_id)
            return await self._look_at(target)

    async def forget_trash(self, older_than_s: float, added_in: int | None = None) -> int:
        deleted = 0
        async with self._turn:
            for row in await self._parts.store.trash():
                theirs = added_in in (None, row.record.added_in)
                if theirs and time.time() - row.removed_at >= older_than_s:
                    deleted += 1
                    await asyncio.to_thread(shutil.rmtree, row.kept_in, ignore_errors=True)
                    await asyncio.to_thread(self._parts.previews.drop, row.record.preview)
                    await self._parts.store.drop_trash(row.id)
                    gone = file_id(Path(row.path), self._parts.models_dir)
                    if self._parts.get(gone) is None:
                        await self._forget(gone)
        return deleted

    async def annotate(self, id_: str, *, note: str | None = None, preview: bytes | None = None) -> LibraryFile:
        """None leaves as it is; an empty note or picture takes it away. Raises UserFacingError."""
        async with self._turn:
            file = self._parts.get(id_)
            if file is None:
                raise UserFacingError("library_gone")
            old = record = self._parts.records.get(id_, Record(added_at=file.added_at))
            if note is not None:
                record = replace(record, note=note.strip() or None)
            if preview is not None:
                try:
                    name = await asyncio.to_thread(self._parts.previews.keep, id_, preview) if preview else None
                except OSError as error:
                    raise UserFacingError("library_disk", name=file.name) from error
                record = replace(record, preview=name)
            await self._parts.store.put_record(id_, record)
            self._parts.records[id_] = record
            if old.preview != record.preview:
                await asyncio.to_thread(self._parts.previews.drop, old.preview)
            await self._parts.rebuild()
            return self._parts.get(id_) or file

    # --- parts --------------------------------------------------------------------------------------------------------

    async def mend(self) -> None:
        """After a crash: a removal that was cut short before the file moved has not happened, and half copies go."""
        async with self._turn:  # what somebody is just removing or adopting looks like half of it
            try:
                for row in await self._parts.store.trash():
                    if not await asyncio.to_thread((Path(row.kept_in) / Path(row.path).name).exists):
                        await self._parts.store.drop_trash(row.id)
                        await asyncio.to_thread(shutil.rmtree, row.kept_in, ignore_errors=True)
                await asyncio.to_thread(sweep_parts, [self._parts.folder(kind) for kind in KINDS])
            except (StorageFullError, OSError):
                log.exception("the trash could not be looked through")

    def _ours(self, id_: str) -> tuple[LibraryFile, Entry]:
        """Raises UserFacingError: `library_gone`, `library_read_only`."""
        file = self._parts.get(id_)
        entry = self._parts.scanner.entries.get(file.path) if file else None
        if file is None or (entry is None and not file.read_only):
            raise UserFacingError("library_gone")
        if entry is None or file.read_only:
            raise UserFacingError("library_read_only", name=file.name)
        return file, entry

    def _shared(self, entry: Entry) -> frozenset[str]:
        """Of what lies beside it, that which lies there for another model of the same stem, too."""
        path, entries = entry.listed.path, self._parts.scanner.entries
        others = (other for at, other in entries.items() if other.beside_stamp and at != path)
        return frozenset(
            name for other in others if other.listed.path.parent == path.parent for name, _, _ in other.beside_stamp
        )

    async def _forget(self, id_: str) -> None:
        """What was said about an earlier file of that place is not said about the next."""
        if self._parts.forget is not None:
            await self._parts.forget([id_])

    async def _drop_record(self, id_: str) -> None:
        await self._parts.store.drop_record(id_)
        self._parts.records.pop(id_, None)

    async def _kept_preview(self, id_: str, preview: Path | None) -> str | None:
        """A preview is a nicety: one that cannot be used keeps no model out."""
        if preview is None:
            return None
        try:
            return await asyncio.to_thread(lambda: self._parts.previews.keep(id_, preview.read_bytes()))
        except (OSError, UserFacingError) as error:
            log.warning("a preview was left out: %r", error)
            return None

    async def _free_place(self, source: Path, folder: Path, stem: str, suffix: str) -> Path:
        def look() -> Path:
            number = 1
            while is_taken(path := folder / f"{numbered(stem, number)}{suffix}", source):
                number += 1
            return path

        return await asyncio.to_thread(look)

    async def _look_at(self, path: Path) -> LibraryFile:
        try:
            await self._parts.scanner.look_at(path)
        except OSError as error:
            raise UserFacingError("library_disk", name=path.stem) from error
        await self._parts.rebuild()
        self._parts.tell_files()
        found = self._parts.get(file_id(path, self._parts.models_dir))
        if found is None:
            raise UserFacingError("library_gone")
        return found


def _beside(entry: Entry) -> tuple[str, ...]:
    return tuple(name for name, size, _ in entry.beside_stamp if size)
