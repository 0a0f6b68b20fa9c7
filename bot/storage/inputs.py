"""Pictures that people gave: kept as files named by the hash of their bytes, so that a job can be drawn again any time.

In a stored spec such a picture is `input:<sha256>`. The file is durable before anybody is told that the job is taken,
and it stays as long as something needs it: a job whose card is not deleted, or an enlargement of what that job drew; a
draft; a data set; a request under way. A training needs its pictures until it is over: afterwards they are its data
set's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence, Set
from pathlib import Path

from bot.domain.job import JobTask
from bot.domain.scripts import Script
from bot.storage.database import Database, StorageFullError
from bot.storage.drafts import KEPT_S
from bot.storage.images import MissingPictureError
from bot.storage.thumbnails import small_copy
from gpu_worker.protocol.specs import (
    Caption,
    Describe,
    Drawing,
    ImageRef,
    Img2Img,
    Preprocess,
    Sheet,
    StoredSource,
    Train,
    Txt2Img,
    Ultimate,
    Upscale,
)

__all__ = ["INPUT_SCHEME", "InputPictures", "given_pictures"]

INPUT_SCHEME = "input:"
ONE_BY_ONE = 4
JOBS_AT_ONCE = 500
ENDED_LATELY_S = 3 * 3600.0
"""Longer than it takes until somebody looks again; a start looks at everything."""
_SMALL = ".webp"
"""Beside a file: its small copy."""
_ADDRESS = re.compile(r"input:([0-9a-f]{64})")
_LIVE = (
    "jobs.deleted_at IS NULL AND (NOT EXISTS (SELECT 1 FROM images AS made WHERE made.job_id = jobs.id) OR EXISTS "
    "(SELECT 1 FROM images AS made WHERE made.job_id = jobs.id AND (made.deleted_at IS NULL "
    "OR made.id IN (SELECT image_id FROM deletion_items)))) "
    "AND (jobs.status IN ('queued', 'assigned') "
    "OR (jobs.action NOT IN ('train', 'caption') AND (jobs.script_id IS NULL OR jobs.place IS NOT NULL)))"
)
"""Not drawn yet, or one of its pictures is there, or can still be brought back. Of a sheet that is over its cells are
what needs them; of a training that is over, and of captions, the data set."""
_NEEDED = " ".join(
    (
        "WITH RECURSIVE users (id) AS (SELECT id FROM jobs WHERE instr(spec, ?1)",
        "UNION SELECT later.id FROM users JOIN images ON images.job_id = users.id",
        "JOIN jobs AS later ON later.source_image_id = images.id",
        "AND later.action IN ('upscale', 'upscale_subtle', 'ultimate'))",
        f"SELECT 1 FROM users JOIN jobs ON jobs.id = users.id WHERE {_LIVE}",  # noqa: S608
        "UNION ALL SELECT 1 FROM drafts WHERE instr(spec || coalesce(base, ''), ?1) AND created_at >= ?2",
        "UNION ALL SELECT 1 FROM script_offers WHERE instr(spec, ?1) AND created_at >= ?2",
        "UNION ALL SELECT 1 FROM dataset_images WHERE sha256 = substr(?1, 7) LIMIT 1",  # behind `input:`
    )
)


def given_pictures(spec: JobTask) -> list[ImageRef]:
    """What a request starts from."""
    if isinstance(spec, Script):
        return given_pictures(spec.base)
    if isinstance(spec, Sheet):
        return [ref for cell in spec.cells for ref in given_pictures(cell)]
    if isinstance(spec, Ultimate):
        return given_pictures(spec.drawing)
    if isinstance(spec, Upscale | Describe):
        return [spec.image]
    if isinstance(spec, Caption):
        return [one.image for one in spec.pictures]
    if isinstance(spec, Train):
        return [image.image for _, image in spec.images()]
    if isinstance(spec, Preprocess):
        masks = [spec.mask] if spec.mask is not None else []
        return [spec.image, *masks, *(ref for other in spec.others for ref in given_pictures(other))]
    if isinstance(spec, Drawing) and spec.image_prompts is not None:
        read = [prompt.image for prompt in spec.image_prompts.pictures]
        return [*given_pictures(spec.model_copy(update={"image_prompts": None})), *read]
    if isinstance(spec, Drawing) and spec.control:
        led = [image for unit in spec.control for image in (unit.image, unit.mask) if image is not None]
        return [*given_pictures(spec.model_copy(update={"control": ()})), *led]
    if isinstance(spec, Txt2Img) and spec.hires is not None and isinstance(spec.hires.source, StoredSource):
        return [spec.hires.source.image]
    if not isinstance(spec, Img2Img):
        return []
    return [spec.image, *([spec.mask.image] if spec.mask else [])]


class InputPictures:
    def __init__(self, database: Database, root: Path) -> None:
        self._db = database
        self._root = root
        self._held: Counter[str] = Counter()
        self._lock = asyncio.Lock()
        """No file goes while one is written or a request takes hold of it."""

    async def keep(self, data: bytes, mime: str) -> ImageRef:
        """Off the loop; the same bytes twice are one file, and a damaged one is replaced. Raises StorageFullError."""
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        try:
            async with self._lock:
                await asyncio.to_thread(_write, self._path(sha256), data, sha256)
        except OSError as error:
            raise StorageFullError from error
        return ImageRef(ref=f"{INPUT_SCHEME}{sha256}", sha256=sha256, mime=mime, size_bytes=len(data))

    @contextlib.asynccontextmanager
    async def keeping(self, data: bytes, mime: str) -> AsyncGenerator[ImageRef]:
        """As `keep`, held meanwhile, and thrown away again where the body raises and nothing else needs it."""
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        self._held[sha256] += 1  # before it is written: whoever removes it right now does so under the lock
        try:
            yield await self.keep(data, mime)
        except BaseException:
            self._held[sha256] -= 1
            await self._discard(sha256)
            raise
        self._held[sha256] -= 1

    async def read(self, ref: ImageRef) -> bytes:
        """Raises MissingPictureError where the file is gone or damaged."""
        found = _ADDRESS.fullmatch(ref.ref)
        if found is None:
            raise MissingPictureError(ref.ref)
        return await asyncio.to_thread(_read, self._path(found[1]), found[1])

    def small_now(self, ref: ImageRef) -> bytes | None:
        """A WebP of at most 384 pixels a side, which goes when the file does; None for what cannot be read. Blocks; for
        threads."""
        found = _ADDRESS.fullmatch(ref.ref)
        if found is None:
            return None
        path = self._path(found[1])
        beside = path.with_suffix(_SMALL)
        with contextlib.suppress(OSError):
            return beside.read_bytes()
        small = small_copy(path)
        if small is not None:
            part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
            try:
                part.write_bytes(small)
                part.replace(beside)
            except OSError:  # a full disk only costs the copy
                part.unlink(missing_ok=True)
            if not path.exists():  # thrown away meanwhile
                beside.unlink(missing_ok=True)
        return small

    async def file(self, ref: ImageRef) -> Path:
        """Where it lies, for whoever checks the bytes itself. Raises MissingPictureError where it is gone or cut."""
        found = _ADDRESS.fullmatch(ref.ref)
        path = self._path(found[1]) if found is not None else None
        if path is None or await asyncio.to_thread(_size, path) != ref.size_bytes:
            raise MissingPictureError(ref.ref)
        return path

    @contextlib.asynccontextmanager
    async def holding(self, refs: Iterable[ImageRef]) -> AsyncGenerator[None]:
        """Meanwhile these stay, though no row may know them yet."""
        names = [found[1] for ref in refs if (found := _ADDRESS.fullmatch(ref.ref))]
        if names:
            async with self._lock:
                self._held.update(names)
        try:
            yield
        finally:
            self._held.subtract(names)

    async def discard_unused(self, refs: Iterable[ImageRef]) -> None:
        """Removes the files that nothing needs any more."""
        await self._discard_all(found[1] for ref in refs if (found := _ADDRESS.fullmatch(ref.ref)))

    async def discard_taught(self) -> int:
        """Pictures of trainings, and of captions, that ended lately and needed them, where their data set is gone: now
        and then. Returns how many files went."""
        rows = await self._db.all(
            "SELECT spec FROM jobs WHERE action IN ('train', 'caption') AND status NOT IN ('queued', 'assigned') "
            "AND finished_at > ?",
            (time.time() - ENDED_LATELY_S,),
        )
        return await self._discard_all(name for row in rows for name in _ADDRESS.findall(row["spec"]))

    async def sweep(self) -> int:
        """Removes every file that nothing needs, and what a crash left half written. Returns how many went."""
        there = await asyncio.to_thread(_listed, self._root)
        rows = await self._db.all(
            f"SELECT spec FROM jobs WHERE instr(spec, ?1) AND {_LIVE} "  # noqa: S608
            "UNION ALL SELECT spec || coalesce(base, '') FROM drafts "
            "WHERE instr(spec || coalesce(base, ''), ?1) AND created_at >= ?2 "
            "UNION ALL SELECT spec FROM script_offers WHERE instr(spec, ?1) AND created_at >= ?2 "
            "UNION ALL SELECT ?1 || sha256 AS spec FROM dataset_images",
            (INPUT_SCHEME, time.time() - KEPT_S),
        )
        needed = {name for row in rows for name in _ADDRESS.findall(row["spec"])}
        return await self._discard_all(name for name in there if name not in needed)

    async def _discard_all(self, names: Iterable[str]) -> int:
        """Of many, those that no job mentions go at once: to ask for each reads every job there ever was."""
        rest = list(dict.fromkeys(names))
        gone: list[str] = []
        if len(rest) > ONE_BY_ONE:
            async with self._lock:
                rest = await self._outside_datasets(rest)
                mentioned = await self._mentioned(set(rest))
                gone = [name for name in rest if name not in mentioned and self._held[name] <= 0]
                await asyncio.to_thread(lambda: [_unlink(self._path(name)) for name in gone])
            rest = [name for name in rest if name in mentioned]
        return len(gone) + sum([await self._discard(name) for name in rest])

    async def _outside_datasets(self, names: Sequence[str]) -> list[str]:
        rows = await self._db.all(
            "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT sha256 FROM dataset_images)",
            (json.dumps(names),),
        )
        return [row["value"] for row in rows]

    async def _mentioned(self, names: Set[str]) -> set[str]:
        """Those that some job or request has; of trainings and captions only such as wait, for what is over needs
        none."""
        if not names:
            return set()
        rows = await self._db.all(
            "SELECT spec || coalesce(base, '') FROM drafts UNION ALL SELECT spec FROM script_offers"
        )
        found = {name for row in rows for name in _ADDRESS.findall(row[0])}
        at = 0
        while True:
            rows = await self._db.all(
                "SELECT rowid AS at, spec FROM jobs WHERE rowid > ? AND instr(spec, ?) AND "
                "(action NOT IN ('train', 'caption') OR status IN ('queued', 'assigned')) ORDER BY rowid LIMIT ?",
                (at, INPUT_SCHEME, JOBS_AT_ONCE),
            )
            found.update(await asyncio.to_thread(_ADDRESS.findall, " ".join(row["spec"] for row in rows)))
            if len(rows) < JOBS_AT_ONCE:
                return found & names
            at = rows[-1]["at"]

    async def _discard(self, sha256: str) -> bool:
        async with self._lock:
            if self._held[sha256] > 0:
                return False
            if await self._db.one(_NEEDED, (f"{INPUT_SCHEME}{sha256}", time.time() - KEPT_S)):
                return False
            await asyncio.to_thread(_unlink, self._path(sha256))
            return True

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256


def _size(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return None


def _listed(root: Path) -> list[str]:
    found: list[str] = []
    for path in root.glob("*/*"):
        if re.fullmatch(r"[0-9a-f]{64}", path.name):
            found.append(path.name)
        elif path.suffix == ".part" or (path.suffix == _SMALL and not path.with_suffix("").exists()):
            path.unlink(missing_ok=True)
    return found


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(_SMALL).unlink(missing_ok=True)


def _write(path: Path, data: bytes, sha256: str) -> None:
    with contextlib.suppress(MissingPictureError):
        _read(path, sha256)
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
