"""Keeps the entries true to the folders: lists, has what changed read, and remembers it in the database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bot.library.entries import BesideStamp, Entry, beside_stamp, entry_of, row_of
from bot.library.files import ScanProgress
from bot.library.reading import FileReader, Wanted
from bot.storage.library import FileRow, LibraryStore
from gpu_worker.language.layouts import Reading
from gpu_worker.language.listing import Listed, list_files
from gpu_worker.language.models import ModelFile, read_demo
from gpu_worker.language.sidecars import Sidecars
from gpu_worker.language.trees import model_roots

__all__ = ["Changes", "Scanner"]

CHUNK = 100
"""Files read between two writes: so many are read again after a crash."""
FRESH_S = 4.0
"""A file this new may still be written, so a bad reading of it is not believed for long."""
SHUT_S = 300.0
"""How long a file that could not be opened is left alone."""


@dataclass(frozen=True, slots=True)
class Changes:
    added: tuple[Path, ...]
    removed: tuple[Path, ...]
    changed: tuple[Path, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a listing asks for."""

    total: int
    roots: frozenset[Path]
    there: frozenset[Path]
    moved: tuple[Entry, ...]
    """As known, apart from the folder they are named by, and from other parts of theirs."""
    wanted: tuple[tuple[Wanted, BesideStamp], ...]


class Scanner:
    def __init__(
        self,
        store: LibraryStore,
        reader: FileReader,
        *,
        models_dir: Path,
        demo_dir: Path,
        extra_folders: Sequence[Path] = (),
    ) -> None:
        self.entries: dict[Path, Entry] = {}
        """Replaced and added to on the loop only; whoever needs it in a thread copies it."""
        self.demo: tuple[ModelFile, ...] = ()
        self._store = store
        self._reader = reader
        self._models_dir = models_dir
        self._demo_dir = demo_dir
        self._extra = tuple(extra_folders)
        self._parked: dict[Path, Entry] = {}
        """Of folders that are not there now, such as an unplugged disk: their hashes cost hours."""
        self._shut: set[Path] = set()
        self._again: dict[Path, float] = {}
        """When a file is read again though it has not changed; monotonic."""
        self._touched: set[Path] = set()
        """Changed by us since the running scan made its list."""
        self._known_before = False
        self._added: dict[Path, None] = {}
        self._changed: dict[Path, None] = {}
        """Stored, and not reported yet: a scan that fails leaves them to the next."""

    async def load(self) -> None:
        rows = await self._store.files()
        self._known_before = bool(rows)
        self.entries, self._parked, self.demo = await asyncio.to_thread(self._unpack, rows)

    def _unpack(self, rows: Sequence[FileRow]) -> tuple[dict[Path, Entry], dict[Path, Entry], tuple[ModelFile, ...]]:
        roots = set(model_roots(self._models_dir, self._extra))
        found = [entry for row in rows if (entry := entry_of(row)) is not None]
        present = {entry.listed.path: entry for entry in found if entry.listed.root in roots}
        parked = {entry.listed.path: entry for entry in found if entry.listed.root not in roots}
        return present, parked, read_demo(self._demo_dir, {})

    async def scan(
        self, on_progress: Callable[[ScanProgress], None] | None = None, *, all_again: bool = False
    ) -> Changes:
        """`all_again`: files that could not be read are tried now. Raises StorageFullError, OSError where no process
        can be started; what was stored until then is kept, and reported by the next one."""
        self._touched.clear()
        if all_again:
            self._again = dict.fromkeys(self._again, 0.0)
        known = {**self._parked, **self.entries}
        plan = await asyncio.to_thread(self._plan, known)
        await self._put_seen(plan.moved)
        if on_progress:
            on_progress(ScanProgress(plan.total - len(plan.wanted), plan.total))
        besides = {wanted.listed.path: beside for wanted, beside in plan.wanted}
        chunk: list[Entry] = []
        done = plan.total - len(plan.wanted)
        async with contextlib.aclosing(self._reader.read([wanted for wanted, _ in plan.wanted])) as answers:
            async for wanted, reading, sidecars in answers:
                path = wanted.listed.path
                chunk.append(self._entry(wanted.listed, reading, besides[path], sidecars, known.get(path)))
                done += 1
                if len(chunk) == CHUNK:
                    await self._put_seen(chunk)
                    chunk.clear()
                    if on_progress:
                        on_progress(ScanProgress(done, plan.total))
        await self._put_seen(chunk)
        if on_progress:
            on_progress(ScanProgress(plan.total, plan.total))
        removed = await self._forget_gone(plan)
        self._known_before = True
        changes = Changes(tuple(self._added), removed, tuple(self._changed))
        self._added, self._changed = {}, {}
        return changes

    async def look_at(self, path: Path) -> Entry | None:
        """Reads one file that we have just put there; None where it is not among the models (any more)."""
        self._touched.add(path)
        found = await asyncio.to_thread(self._find, path)
        if found is None:
            await self.forget(path)
            return None
        listed, beside = found
        known = self.entries.get(path)
        wanted = [Wanted(listed, tuple(name for name, _, _ in beside))]
        async with contextlib.aclosing(self._reader.read(wanted)) as answers:
            async for _, reading, sidecars in answers:
                self._touched.add(path)  # a scan may have begun since
                await self._put([self._entry(listed, reading, beside, sidecars, known)], ours=True)
        return self.entries.get(path)

    async def forget(self, path: Path) -> None:
        self._touched.add(path)
        self.entries = {known: entry for known, entry in self.entries.items() if known != path}
        self._again.pop(path, None)
        await self._store.drop_files([str(path)])

    async def move(self, old: Path, new: Path) -> None:
        """The same contents under another name keep their hashes."""
        entry = self.entries.get(old)
        await self.forget(old)
        moved = await self.look_at(new)
        if entry is not None and moved is not None and entry.sha256 and moved.sha256 is None:
            await self._put([replace(moved, sha256=entry.sha256, autov3=entry.autov3)], ours=True)

    async def set_hashes(self, entry: Entry, sha256: str, autov3: str | None) -> bool:
        """False where the file has changed meanwhile."""
        now = self.entries.get(entry.listed.path)
        if now is None or now.listed.stamp != entry.listed.stamp:
            return False
        hashed = replace(now, sha256=sha256, autov3=autov3)
        self.entries = {**self.entries, entry.listed.path: hashed}
        row = row_of(hashed)
        await self._store.put_hashes(row.path, row.stamp, sha256, autov3)
        return True

    @property
    def next_look_s(self) -> float | None:
        """In how many seconds a file is due to be read again."""
        return max(0.0, min(self._again.values()) - time.monotonic()) if self._again else None

    # --- in a thread --------------------------------------------------------------------------------------------------

    def _plan(self, known: dict[Path, Entry]) -> _Plan:
        roots = model_roots(self._models_dir, self._extra)
        now = time.monotonic()
        wanted: list[tuple[Wanted, BesideStamp]] = []
        moved: list[Entry] = []
        listed = list_files(roots)
        self.demo = read_demo(self._demo_dir, {})
        for found in listed:
            entry = known.get(found.path)
            beside = beside_stamp(found)
            same = entry is not None and entry.listed.stamp == found.stamp and entry.beside_stamp == beside
            if entry is None or not same or self._again.get(found.path, now + 1) <= now:
                wanted.append((Wanted(found, tuple(name for name, _, _ in beside)), beside))
            elif (entry.listed.root, entry.listed.size_bytes) != (found.root, found.size_bytes) or (
                found.path in self._parked
            ):
                moved.append(replace(entry, listed=found))
        there = frozenset(found.path for found in listed)
        return _Plan(len(listed), frozenset(root.path for root in roots), there, tuple(moved), tuple(wanted))

    def _find(self, path: Path) -> tuple[Listed, BesideStamp] | None:
        roots = [root for root in model_roots(self._models_dir, self._extra) if path.is_relative_to(root.path)]
        listed = next((found for found in list_files(roots) if found.path == path), None)
        return (listed, beside_stamp(listed)) if listed else None

    # --- on the loop --------------------------------------------------------------------------------------------------

    def _entry(
        self, listed: Listed, reading: Reading | None, beside: BesideStamp, sidecars: Sidecars, known: Entry | None
    ) -> Entry:
        now = time.time()
        self._again.pop(listed.path, None)
        self._shut.discard(listed.path)
        written_s = listed.stamp[2] / 1e9 if listed.stamp else 0.0
        if reading is None and listed.stamp is not None:
            self._again[listed.path] = time.monotonic() + SHUT_S
            self._shut.add(listed.path)
        elif reading is not None and reading.problem and now - written_s < FRESH_S:
            self._again[listed.path] = time.monotonic() + FRESH_S
        same = known is not None and known.listed.stamp == listed.stamp and listed.stamp is not None
        first_seen_at = known.first_seen_at if known else (now if self._known_before else min(now, written_s or now))
        return Entry(
            listed,
            reading or Reading(problem="corrupt"),
            beside,
            sidecars,
            known.sha256 if known and same else None,
            known.autov3 if known and same else None,
            first_seen_at,
        )

    async def _put(self, entries: Iterable[Entry], *, ours: bool = False) -> None:
        kept = [entry for entry in entries if ours or entry.listed.path not in self._touched]
        if not kept:
            return
        # A file that could not be opened is remembered without a stamp: after a restart it is tried at once.
        sure = [_unsure(entry) if entry.listed.path in self._shut else entry for entry in kept]
        await self._store.put_files(await asyncio.to_thread(lambda: [row_of(entry) for entry in sure]))
        # Not before it is stored: what is known is not read again.
        stored = {entry.listed.path: entry for entry in kept if ours or entry.listed.path not in self._touched}
        self.entries = {**self.entries, **stored}
        for path in stored:
            self._parked.pop(path, None)

    async def _put_seen(self, entries: Sequence[Entry]) -> None:
        known = self.entries
        await self._put(entries)
        for path in (entry.listed.path for entry in entries):
            (self._changed if path in known else self._added).setdefault(path)

    async def _forget_gone(self, plan: _Plan) -> tuple[Path, ...]:
        gone = [path for path in self.entries if path not in plan.there and path not in self._touched]
        parked = {path: self.entries[path] for path in gone if self.entries[path].listed.root.path not in plan.roots}
        await self._store.drop_files(str(path) for path in gone if path not in parked)
        left = dict.fromkeys(path for path in gone if path not in self._touched)
        self._parked.update({path: entry for path, entry in parked.items() if path in left})
        self.entries = {path: entry for path, entry in self.entries.items() if path not in left}
        for path in left:
            self._again.pop(path, None)
        return tuple(left)


def _unsure(entry: Entry) -> Entry:
    return replace(entry, listed=replace(entry.listed, stamp=None))
