"""Moves of model files. Each becomes visible by one rename or link of the model itself; what lies beside it is put
there before and taken away after, so that a crash at any point leaves the old state or the new one.

All block; call them off the loop. Only one at a time: where a file system has no hard links, a free name is looked for
and then taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Container, Sequence
from pathlib import Path

from bot.library.paths import numbered

__all__ = ["from_trash", "is_taken", "move_in", "rename_beside", "sweep_parts", "sync_folder", "to_trash"]

_NAMES_MAX = 1000
_COPY_BYTES = 8 << 20
_PART = re.compile(r"\.[0-9a-f]{16}\.part")


def move_in(source: Path, folder: Path, stem: str, suffix: str) -> Path:
    """Into `folder` under the first free of `stem`, `stem 2`, …; never over another file. Returns where it is.

    Raises OSError; then nothing is visible in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        target = _take_name(source, folder, stem, suffix)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = _copied(source, folder / f".{secrets.token_hex(8)}.part")
        try:
            target = _take_name(part, folder, stem, suffix)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    sync_folder(folder)
    source.unlink(missing_ok=True)
    return target


def is_taken(target: Path, source: Path) -> bool:
    """Whether something other than the very file `source` has this name."""
    return _exists(target) and (target.is_symlink() or not _same(source, target))


def rename_beside(path: Path, new_stem: str, sidecars: Sequence[str], shared: Container[str] = ()) -> Path:
    """In its folder, with what lies beside it; what lies there for others, too, is copied. Raises FileExistsError,
    OSError."""
    stem = path.name if path.is_dir() else path.stem
    target = path.with_name(new_stem + path.name[len(stem) :])
    if _exists(target) and not _same(path, target):
        raise FileExistsError(errno.EEXIST, "there is one of this name", str(target))
    copies: list[tuple[Path, Path]] = []
    for name in sidecars:
        copy = path.with_name(new_stem + name[len(stem) :])
        if not _exists(copy) and path.with_name(name).is_file():
            _copied(path.with_name(name), copy)
            copies.append((path.with_name(name), copy))
    try:
        path.rename(target)
    except BaseException:
        for _, copy in copies:
            copy.unlink(missing_ok=True)
        raise
    for old, copy in copies:
        if old.name not in shared and not _same(old, copy):
            old.unlink(missing_ok=True)
    sync_folder(path.parent)
    return target


def to_trash(path: Path, kept_in: Path, sidecars: Sequence[str], shared: Container[str] = ()) -> None:
    """Into the folder `kept_in`, which must be on the same disk, with what lies beside it; what lies there for others,
    too, is copied. Raises OSError; then it is still in its place."""
    kept_in.mkdir(parents=True, exist_ok=True)
    for name in sidecars:
        with contextlib.suppress(OSError):
            shutil.copy2(path.with_name(name), kept_in / name)
    path.rename(kept_in / path.name)
    sync_folder(kept_in)
    sync_folder(path.parent)
    for name in (name for name in sidecars if name not in shared):
        with contextlib.suppress(OSError):
            path.with_name(name).unlink(missing_ok=True)


def from_trash(kept_in: Path, original: Path) -> Path:
    """Back to where it was, or beside that under a number. Raises OSError; then it is still in the trash."""
    model = kept_in / original.name
    folder = original.parent
    folder.mkdir(parents=True, exist_ok=True)
    is_folder = model.is_dir() and not model.is_symlink()
    stem = model.name if is_folder else model.stem
    number = 1
    while _exists(target := folder / (numbered(stem, number) + model.name[len(stem) :])):
        number += 1
    for beside in kept_in.iterdir():
        copy = folder / (numbered(stem, number) + beside.name[len(stem) :])
        if beside.name != model.name and not _exists(copy) and beside.is_file():
            _copied(beside, copy)
    model.rename(target)
    sync_folder(folder)
    shutil.rmtree(kept_in, ignore_errors=True)
    return target


def sweep_parts(folders: Sequence[Path]) -> None:
    """Removes the half copies that a crash left; nobody may be copying."""
    for folder in folders:
        for part in folder.rglob(".*.part") if folder.is_dir() else ():
            if _PART.fullmatch(part.name):
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """A name, too, must survive a power cut."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _take_name(here: Path, folder: Path, stem: str, suffix: str) -> Path:
    for number in range(1, _NAMES_MAX):
        target = folder / f"{numbered(stem, number)}{suffix}"
        if is_taken(target, here):
            continue
        if _exists(target):
            here.unlink(missing_ok=True)  # a crash came between the two names of the same file
            return target
        try:
            os.link(here, target)  # unlike a rename it refuses to replace what somebody put there this very moment
        except FileExistsError:
            continue
        except OSError:
            here.rename(target)  # exFAT and some network disks have no links
        else:
            here.unlink(missing_ok=True)
        return target
    raise FileExistsError(errno.EEXIST, "every name is taken", str(folder / stem))


def _copied(source: Path, target: Path) -> Path:
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with source.open("rb") as original, part.open("wb") as copy:
            shutil.copyfileobj(original, copy, _COPY_BYTES)
            copy.flush()
            os.fsync(copy.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target


def _exists(path: Path) -> bool:
    """Broken links, too, have a name."""
    return path.exists() or path.is_symlink()


def _same(one: Path, other: Path) -> bool:
    """On file systems that do not mind case, a new case of the same name is the same file."""
    try:
        return one.samefile(other)
    except OSError:
        return False
