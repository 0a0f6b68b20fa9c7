"""Pictures that people gave: kept as files named by the hash of their bytes, so that a job can be drawn again any time.

In a stored spec such a picture is `input:<sha256>`. The file is durable before anybody is told that the job is taken.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from pathlib import Path

from bot.storage.database import Database, StorageFullError
from bot.storage.images import MissingPictureError
from gpu_worker.protocol.specs import ImageRef

__all__ = ["INPUT_SCHEME", "InputPictures"]

INPUT_SCHEME = "input:"
_ADDRESS = re.compile(r"input:([0-9a-f]{64})")


class InputPictures:
    def __init__(self, database: Database, root: Path) -> None:
        self._db = database
        self._root = root

    async def keep(self, data: bytes, mime: str) -> ImageRef:
        """Off the loop; the same bytes twice are one file. Raises StorageFullError."""
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            await asyncio.to_thread(_write, self._path(sha256), data)
        except OSError as error:
            raise StorageFullError from error
        return ImageRef(ref=f"{INPUT_SCHEME}{sha256}", sha256=sha256, mime=mime, size_bytes=len(data))

    async def read(self, ref: ImageRef) -> bytes:
        """Raises MissingPictureError where the file is gone or damaged."""
        found = _ADDRESS.fullmatch(ref.ref)
        if found is None:
            raise MissingPictureError(ref.ref)
        return await asyncio.to_thread(_read, self._path(found[1]), found[1])

    async def discard_unused(self, ref: ImageRef, but: str) -> None:
        """Removes the file unless a job other than `but` starts from it, too."""
        found = _ADDRESS.fullmatch(ref.ref)
        if found is None:
            return
        # A deleted card's job starts from nothing any more; any other might be asked for once more.
        row = await self._db.one(
            "SELECT 1 FROM jobs WHERE instr(spec, ?) AND id != ? AND NOT EXISTS "
            "(SELECT 1 FROM images WHERE job_id = jobs.id AND deleted_at IS NOT NULL) LIMIT 1",
            (ref.ref, but),
        )
        if row is None:
            await asyncio.to_thread(self._path(found[1]).unlink, missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256


def _write(path: Path, data: bytes) -> None:
    if path.is_file() and path.stat().st_size == len(data):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        # The name, too, must survive a power cut.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingPictureError(path.name) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise MissingPictureError(path.name)
    return data
