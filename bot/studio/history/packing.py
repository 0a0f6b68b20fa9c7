"""Writing one part of an export. Blocks; for threads."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.delivery.ladder import climb_down
from bot.domain.packing import ENTRY_BYTES, PART_BYTES, entry_name
from bot.storage.history import Shot

__all__ = ["Entry", "part_path", "write_part"]

LIST_NAME = "pictures.csv"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    shot: Shot
    file: Path
    infotext: str
    fits: bool


def part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number}.zip"


def write_part(folder: Path, number: int, entries: Sequence[Entry], part_bytes: int) -> int:
    """Returns how many pictures are in it: those whose files are there. Raises OSError where the disk is full."""
    folder.mkdir(parents=True, exist_ok=True)
    target = part_path(folder, number)
    beside = target.with_suffix(".part")
    rows: list[list[object]] = []
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:  # pictures are packed already
        for entry in entries:
            row = _add(archive, entry, part_bytes)
            if row is not None:
                rows.append(row)
        archive.writestr(LIST_NAME, _listed(rows), zipfile.ZIP_DEFLATED)
    if rows:
        beside.replace(target)
    else:
        beside.unlink()
    return len(rows)


def _add(archive: zipfile.ZipFile, entry: Entry, part_bytes: int) -> list[object] | None:
    shot = entry.shot
    day = datetime.fromtimestamp(shot.created_at, UTC)
    suffix = entry.file.suffix
    data: bytes | None = None
    try:
        if not entry.fits:
            _, uploads = climb_down([entry.file.read_bytes()], [entry.infotext], part_bytes - PART_BYTES - ENTRY_BYTES)
            if not uploads:
                return None
            data, suffix = uploads[0].data, uploads[0].suffix
        name = entry_name(day.strftime("%Y-%m-%d"), shot.prompt, shot.seed, shot.id, suffix)
        info = zipfile.ZipInfo(name, day.timetuple()[:6])
        info.external_attr = 0o644 << 16
        if data is not None:
            archive.writestr(info, data)
        else:
            with entry.file.open("rb") as source, archive.open(info, "w") as into:
                shutil.copyfileobj(source, into, CHUNK_BYTES)
    except FileNotFoundError:
        return None
    return [
        name, day.isoformat(timespec="seconds"), shot.width, shot.height, shot.seed, shot.model,
        "yes" if shot.favourite else "", shot.prompt,
    ]  # fmt: skip


def _listed(rows: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["file", "drawn (UTC)", "width", "height", "seed", "checkpoint", "favourite", "prompt"])
    writer.writerows([_inert(value) for value in row] for row in rows)
    return out.getvalue()


def _inert(value: object) -> object:
    """A prompt that begins like a formula must not be one for whoever opens the list in a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
