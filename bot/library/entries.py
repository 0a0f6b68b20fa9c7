"""What is known of each listed file, in memory and as rows of the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.storage.library import FileRow
from gpu_worker.language.layouts import Reading
from gpu_worker.language.listing import Listed, Stamp
from gpu_worker.language.reader import pack_reading, pack_sidecars, unpack_reading, unpack_sidecars
from gpu_worker.language.sidecars import Sidecars, sidecar_names
from gpu_worker.language.trees import Root

__all__ = ["BesideStamp", "Entry", "beside_stamp", "entry_of", "row_of", "stamp_text"]

BesideStamp = tuple[tuple[str, int, int], ...]
"""Name, size and time of each sidecar; 0 and 0 for one that is gone again."""


@dataclass(frozen=True, slots=True)
class Entry:
    listed: Listed
    reading: Reading
    beside_stamp: BesideStamp
    sidecars: Sidecars
    sha256: str | None
    autov3: str | None
    first_seen_at: float

    @property
    def hashed(self) -> bool:
        return self.sha256 is not None


def beside_stamp(listed: Listed) -> BesideStamp:
    """Looks at the disk where there are sidecars."""
    if not listed.neighbours:
        return ()
    stem = listed.path.name if listed.folder else listed.path.stem
    found: list[tuple[str, int, int]] = []
    for name in sidecar_names(listed.path.name, stem, listed.neighbours):
        try:
            facts = listed.path.with_name(name).stat()
            found.append((name, facts.st_size, facts.st_mtime_ns))
        except OSError:
            found.append((name, 0, 0))
    return tuple(found)


def stamp_text(stamp: Stamp | None) -> str:
    return json.dumps(stamp)


def row_of(entry: Entry) -> FileRow:
    listed = entry.listed
    return FileRow(
        path=str(listed.path),
        root=json.dumps([str(listed.root.path), listed.root.kind, listed.root.extra, listed.folder, listed.size_bytes]),
        weights=str(listed.weights),
        stamp=stamp_text(listed.stamp),
        reading=json.dumps(pack_reading(entry.reading)),
        beside_stamp=json.dumps(entry.beside_stamp),
        beside=json.dumps(pack_sidecars(entry.sidecars)),
        sha256=entry.sha256,
        autov3=entry.autov3,
        first_seen_at=entry.first_seen_at,
    )


def entry_of(row: FileRow) -> Entry | None:
    """None for a row that another version wrote: the file is read again."""
    try:
        root, kind, extra, folder, *size = json.loads(row.root)
        stamp: Sequence[Any] | None = json.loads(row.stamp)
        beside: BesideStamp = tuple((name, size, time) for name, size, time in json.loads(row.beside_stamp))
        listed = Listed(
            Path(row.path),
            Path(row.weights),
            Root(Path(root), kind, extra),
            (stamp[0], stamp[1], stamp[2], stamp[3], stamp[4]) if stamp else None,
            folder,
            tuple(name for name, _, _ in beside),
            int(size[0] if size else stamp[1] if stamp else 0),  # an earlier version wrote none
        )
        reading, sidecars = unpack_reading(json.loads(row.reading)), unpack_sidecars(json.loads(row.beside))
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    return Entry(listed, reading, beside, sidecars, row.sha256, row.autov3, row.first_seen_at)
