"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["clear", "move", "sync", "sync_folder"]


def clear(*paths: Path) -> None:
    """Removes databases with everything that SQLite keeps beside them; files that cannot be removed stay."""
    for path in paths:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                path.with_name(path.name + suffix).unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Replaces `target`, on another file system, too. Raises OSError; then `target` is as it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)  # noqa: PTH105 - Path.replace is the same call, this one says what happens
    except OSError:
        # Another file system (outbox on a RAM disk): copy beside the target, then rename, so no half file is ever seen.
        beside = target.with_name(target.name + ".part")
        try:
            beside.write_bytes(source.read_bytes())
            beside.replace(target)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        source.unlink(missing_ok=True)
    sync(target)
    # The name, too, must survive a power cut: right after this a row says that the file is here.
    sync_folder(target.parent)


def sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
