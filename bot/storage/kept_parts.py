"""Finished parts of jobs that are not done (tiles, snapshots): files beside the outputs, and a row for each.

They outlive the worker and the bot, and go when their job ends. They are a convenience, never a promise: whatever is
missing, damaged or beyond the bounds is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.domain.ids import JobId
from bot.storage.database import Database, StorageFullError
from bot.storage.durable import move

__all__ = ["JOB_BYTES_MAX", "KeptParts", "StoredPart"]

log = logging.getLogger(__name__)

JOB_BYTES_MAX = 2 * 2**30
ALL_BYTES_MAX = 8 * 2**30
SPARE_BYTES = 2**30
"""Room on the disk that parts leave to what is finished."""
_WAITING = "(SELECT id FROM jobs WHERE status IN ('queued', 'assigned'))"


@dataclass(frozen=True, slots=True)
class StoredPart:
    n: int
    path: Path
    sha256: str
    mime: str
    size_bytes: int


class KeptParts:
    def __init__(self, database: Database, root: Path) -> None:
        self._db = database
        self._root = root
        self._jobs: set[JobId] | None = None
        """Which may have some; None before the first sweep."""

    async def keep(
        self, job_id: JobId, attempt: int, n: int, state: bytes | None, part: tuple[Path, str, str, int] | None
    ) -> bool:
        """Takes the file (path, sha256, MIME type, size) over. The part of an attempt that is not the job's own any
        more, or for which there is no room, is left out: False."""
        row = await self._db.one(
            "SELECT attempt FROM jobs WHERE id = ? AND status IN ('queued', 'assigned')", (job_id,)
        )
        if row is None or row["attempt"] != attempt:
            return False
        outputs: list[dict[str, Any]] = []
        try:
            if part is not None:
                source, sha256, mime, size = part
                if not await self._room(job_id, n, size):
                    log.warning("part %s of job %s is not kept: there is no room for it", n, job_id)
                    return False
                if not await asyncio.to_thread(_taken, source, self._path(job_id, n), sha256):
                    log.warning("part %s of job %s was damaged on its way", n, job_id)
                    return False
                outputs.append({"sha256": sha256, "mime": mime, "size_bytes": size})
            async with self._db.write() as tx:
                await tx.execute(
                    "INSERT OR REPLACE INTO partials (job_id, n, attempt, outputs, created_at) "
                    "SELECT id, ?, attempt, ?, ? FROM jobs WHERE id = ? AND attempt = ? "
                    "AND status IN ('queued', 'assigned')",
                    (n, json.dumps(outputs), time.time(), job_id, attempt),
                )
                if state is not None:
                    await tx.execute("UPDATE jobs SET state = ? WHERE id = ? AND attempt = ?", (state, job_id, attempt))
        except (OSError, StorageFullError) as error:
            log.warning("part %s of job %s is not kept: %s", n, job_id, error)
            return False
        if self._jobs is not None:
            self._jobs.add(job_id)
        return True

    async def of_job(self, job_id: JobId) -> list[StoredPart]:
        """Those whose bytes are whole, in order."""
        rows = await self._db.all("SELECT n, outputs FROM partials WHERE job_id = ? ORDER BY n", (job_id,))
        found: list[StoredPart] = []
        for row in rows:
            for output in json.loads(row["outputs"]):
                path = self._path(job_id, row["n"])
                found.append(StoredPart(row["n"], path, output["sha256"], output["mime"], output["size_bytes"]))
        return await asyncio.to_thread(lambda: [part for part in found if _whole(part.path, part.sha256)])

    async def earlier_s(self, job_id: JobId, attempt: int) -> float | None:
        """Seconds of drawing that earlier attempts put into what they left, at the pace at which they left it; None
        where they left nothing."""
        if self._jobs is not None and job_id not in self._jobs:
            return None
        row = await self._db.one(
            "SELECT sum(s) AS s FROM "
            "(SELECT (max(created_at) - min(created_at)) * count(*) / max(1, count(*) - 1) AS s FROM partials "
            "WHERE job_id = ? AND attempt < ? GROUP BY attempt)",
            (job_id, attempt),
        )
        return row["s"] if row is not None else None

    async def forget(self, job_id: JobId) -> None:
        """Its job is over."""
        if self._jobs is not None and job_id not in self._jobs:
            return  # most jobs have none, and need not ask the database
        await self._db.write_one("DELETE FROM partials WHERE job_id = ?", (job_id,))
        await asyncio.to_thread(shutil.rmtree, self._root / job_id, ignore_errors=True)
        if self._jobs is not None:
            self._jobs.discard(job_id)

    async def sweep(self) -> None:
        """What is left of jobs that are over: the bot died before it could forget them."""
        await self._db.write_one(f"DELETE FROM partials WHERE job_id NOT IN {_WAITING}", ())  # noqa: S608
        rows = await self._db.all("SELECT DISTINCT job_id FROM partials", ())
        self._jobs = {JobId(row["job_id"]) for row in rows}
        await asyncio.to_thread(_swept, self._root, frozenset(self._jobs))

    async def _room(self, job_id: JobId, n: int, size: int) -> bool:
        row = await self._db.one(
            "SELECT coalesce(sum(size), 0) AS every, "
            "coalesce(sum(CASE WHEN job_id = ?1 AND n <> ?2 THEN size END), 0) AS own "
            "FROM (SELECT job_id, n, json_extract(outputs, '$[0].size_bytes') AS size FROM partials)",
            (job_id, n),
        )
        assert row is not None, "a sum always is"
        free = await asyncio.to_thread(_free, self._root)
        return (
            row["own"] + size <= JOB_BYTES_MAX and row["every"] + size <= ALL_BYTES_MAX and free - size >= SPARE_BYTES
        )

    def _path(self, job_id: JobId, n: int) -> Path:
        return self._root / job_id / str(n)


def _free(root: Path) -> int:
    root.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(root).free


def _taken(source: Path, target: Path, sha256: str) -> bool:
    if source.exists():
        move(source, target)
    # Missing here, but already there: the bot died between this move and its row.
    return _whole(target, sha256)


def _whole(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _swept(root: Path, kept: frozenset[JobId]) -> None:
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
