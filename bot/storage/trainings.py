"""Trainings and the files that they save, an epoch each: `<root>/<job>/<name>.safetensors`, and a row once it is there.

A training is a job (bot/domain/job.py); its row here is committed with it and goes by `remove`, with all of its files.
Workers read the same folder, so a file may be drawn with as soon as it has arrived. The first file of a name stands:
a training that goes on after a death may save an epoch again, and samples were drawn with the earlier one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from bot.domain.ids import GuildId, JobId, UserId
from bot.domain.job import JobStatus, NewJob
from bot.storage.database import Database, Row
from bot.storage.durable import move
from gpu_worker.protocol.specs import Train

__all__ = [
    "CURVE_POINTS_MAX", "SavedFile", "Training", "Trainings", "add_training_in", "begin_attempt_in",
    "got_further_in",
]  # fmt: skip

log = logging.getLogger(__name__)

SUFFIX = ".safetensors"
CURVE_POINTS_MAX = 400
_ACTIVE = "('queued', 'assigned')"
_SELECT = "SELECT trainings.*, jobs.status, jobs.held_at FROM trainings JOIN jobs ON jobs.id = trainings.job_id "
_NAME = re.compile(r"[^\x00-\x1f/\\:*?\"<>|.][^\x00-\x1f/\\:*?\"<>|]{0,127}")
_OF_AN_EPOCH = re.compile(r"-(?:\d{6}|step\d{8})$")


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A row of `training_files`: one saved epoch."""

    job_id: JobId
    name: str
    """Without suffix; how a prompt calls it."""
    epoch: int
    step: int
    final: bool
    loss: float | None
    sha256: str
    size_bytes: int
    sample_job_id: JobId | None
    """The job that draws its samples."""
    arrived_at: float
    path: Path


@dataclass(frozen=True, slots=True)
class Training:
    """A row of `trainings`, with what its job's says of how it goes."""

    job_id: JobId
    user_id: UserId
    guild_id: GuildId | None
    dataset_id: str | None
    """None once it is deleted."""
    name: str
    trigger_words: str
    preset: str
    samples: tuple[str, ...]
    curve: tuple[float, ...]
    """Average losses of the whole run so far."""
    step: int
    of_steps: int
    """0 before it began."""
    retry_of: JobId | None
    comparison_id: JobId | None
    findings: Mapping[str, Any] | None
    published: str | None
    """Its name in the library."""
    created_at: float
    status: JobStatus
    held: bool
    """Paused by its user."""
    compare: bool = True
    """Its epochs are compared by themselves when it is done."""
    nsfw: bool = False
    """Learnt from a data set, deleted since, that only an age-restricted channel may show."""


async def add_training_in(tx: aiosqlite.Connection, new: NewJob) -> None:
    """With the job itself, inside its transaction."""
    extra, spec = new.training, new.task
    if extra is None:
        return
    assert isinstance(spec, Train)
    await tx.execute(
        "INSERT INTO trainings (job_id, user_id, guild_id, dataset_id, name, trigger_words, preset, samples, compare, "
        "retry_of, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.id, new.user_id, new.guild_id, extra.dataset_id, spec.output_name, extra.trigger_words, extra.preset,
            json.dumps(extra.samples), int(extra.compare), extra.retry_of, time.time(),
        ),
    )  # fmt: skip


async def begin_attempt_in(tx: aiosqlite.Connection, job_id: JobId) -> None:
    """The training is handed out again: what it gains from here on is this attempt's."""
    await tx.execute("UPDATE trainings SET begun_with = most_steps WHERE job_id = ?", (job_id,))


async def got_further_in(tx: aiosqlite.Connection, job_id: JobId) -> bool:
    """Whether its last attempt came further than any before. One that dies at the same step each time did not."""
    found = await tx.execute_fetchall("SELECT 1 FROM trainings WHERE job_id = ? AND most_steps > begun_with", (job_id,))
    return bool(found)


class Trainings:
    def __init__(self, database: Database, root: Path) -> None:
        self._db = database
        self._root = root
        self._heard_removed: list[Callable[[JobId], None]] = []

    def subscribe_removed(self, heard: Callable[[JobId], None]) -> None:
        """Told of every training that is gone for good; must not block."""
        self._heard_removed.append(heard)

    # --- asked --------------------------------------------------------------------------------------------------------

    async def get(self, job_id: JobId) -> Training | None:
        row = await self._db.one(_SELECT + "WHERE trainings.job_id = ?", (job_id,))
        return _training(row) if row is not None else None

    async def of_user(self, user_id: UserId) -> list[Training]:
        """The newest first."""
        rows = await self._db.all(
            _SELECT + "WHERE trainings.user_id = ? ORDER BY trainings.created_at DESC", (user_id,)
        )
        return [_training(row) for row in rows]

    async def running(self) -> list[Training]:
        """All that are not over, oldest first; those that wait or are paused, too."""
        rows = await self._db.all(_SELECT + f"WHERE jobs.status IN {_ACTIVE} ORDER BY trainings.created_at")
        return [_training(row) for row in rows]

    async def files(self, job_id: JobId) -> list[SavedFile]:
        """In the order of training."""
        rows = await self._db.all(
            "SELECT * FROM training_files WHERE job_id = ? ORDER BY final, epoch, step, name", (job_id,)
        )
        return [self._file(row) for row in rows]

    async def unsampled(self, job_id: JobId | None = None) -> list[tuple[JobId, str]]:
        """Files, of this training or of all, of which nobody knows yet what draws their samples, and that are to have
        some."""
        rows = await self._db.all(
            "SELECT training_files.job_id, training_files.name FROM training_files JOIN trainings USING (job_id) "
            "WHERE sample_job_id IS NULL AND samples != '[]' AND (?1 IS NULL OR training_files.job_id = ?1) "
            "ORDER BY arrived_at, epoch",
            (job_id,),
        )
        return [(JobId(row["job_id"]), row["name"]) for row in rows]

    async def file_named(self, name: str) -> SavedFile | None:
        """By the name that a prompt calls it; upper and lower case are the same."""
        row = await self._db.one(
            "SELECT * FROM training_files WHERE name = ? COLLATE NOCASE ORDER BY arrived_at DESC LIMIT 1", (name,)
        )
        return self._file(row) if row is not None else None

    async def name_taken(self, name: str) -> bool:
        """Whether files of that name are there, or are to come."""
        names = {name, _OF_AN_EPOCH.sub("", name)}
        row = await self._db.one(
            "SELECT 1 FROM training_files JOIN json_each(?1) AS asked ON name = asked.value COLLATE NOCASE "
            "UNION ALL SELECT 1 FROM trainings JOIN jobs ON jobs.id = trainings.job_id, json_each(?1) AS asked "
            "WHERE trainings.name = asked.value COLLATE NOCASE AND (jobs.status IN ('queued', 'assigned') "
            "OR EXISTS (SELECT 1 FROM training_files WHERE training_files.job_id = trainings.job_id)) LIMIT 1",
            (json.dumps(sorted(names)),),
        )
        return row is not None

    def folder(self, job_id: JobId) -> Path:
        return self._root / job_id

    # --- noted --------------------------------------------------------------------------------------------------------

    async def note_progress(self, job_id: JobId, step: int, of_steps: int, curve: Sequence[float]) -> None:
        """`curve` is that of the whole run so far."""
        await self._db.write_one(
            "UPDATE trainings SET step = ?1, most_steps = max(most_steps, ?1), of_steps = ?2, curve = ?3 "
            "WHERE job_id = ?4",
            (step, of_steps, json.dumps([round(loss, 5) for loss in _thinned(curve)]), job_id),
        )

    async def note_step(self, job_id: JobId, step: int, of_steps: int) -> None:
        """As `note_progress`, where nothing is said of the loss."""
        await self._db.write_one(
            "UPDATE trainings SET step = ?1, most_steps = max(most_steps, ?1), of_steps = ?2 WHERE job_id = ?3",
            (step, of_steps, job_id),
        )

    async def set_findings(self, job_id: JobId, findings: Mapping[str, Any] | None) -> None:
        await self._db.write_one(
            "UPDATE trainings SET findings = ? WHERE job_id = ?",
            (json.dumps(findings) if findings is not None else None, job_id),
        )

    async def set_published(self, job_id: JobId, name: str | None) -> None:
        await self._db.write_one("UPDATE trainings SET published = ? WHERE job_id = ?", (name, job_id))

    async def set_comparison(self, job_id: JobId, comparison_id: JobId | None) -> None:
        await self._db.write_one("UPDATE trainings SET comparison_id = ? WHERE job_id = ?", (comparison_id, job_id))

    async def set_sample(self, job_id: JobId, name: str, sample_job_id: JobId) -> bool:
        """True where this call set it: two may see the same file at once, and one draws its samples. An empty id means
        that it draws none."""
        rows = await self._db.write_one(
            "UPDATE training_files SET sample_job_id = ? WHERE job_id = ? AND name = ? AND sample_job_id IS NULL "
            "RETURNING name",
            (sample_job_id, job_id, name),
        )
        return bool(rows)

    # --- files --------------------------------------------------------------------------------------------------------

    async def keep_file(
        self, job_id: JobId, *, name: str, epoch: int, step: int, final: bool, loss: float | None,
        source: Path, sha256: str, size_bytes: int,
    ) -> bool:  # fmt: skip
        """Takes the file over. True where it is new; False where that name was there already, where it was damaged on
        its way, or where nobody wants it any more. Raises OSError or StorageFullError where the disk takes it later."""
        if _NAME.fullmatch(name) is None:  # it becomes a path, and comes from another process
            log.warning("training %s saved a file that is called %r; it is left out", job_id, name)
            return False
        if await self.get(job_id) is None:
            return False
        target = self._path(job_id, name)
        known = await self._db.one("SELECT sha256 FROM training_files WHERE job_id = ? AND name = ?", (job_id, name))
        if known is not None and await asyncio.to_thread(_whole, target, known["sha256"]):
            return False
        if not await asyncio.to_thread(_taken, source, target, sha256):
            return False
        rows = await self._db.write_one(
            "INSERT INTO training_files (job_id, name, epoch, step, final, loss, sha256, size_bytes, arrived_at) "
            "SELECT job_id, ?, ?, ?, ?, ?, ?, ?, ? FROM trainings WHERE job_id = ? "
            "ON CONFLICT (job_id, name) DO UPDATE SET sha256 = excluded.sha256, size_bytes = excluded.size_bytes "
            "RETURNING name",
            (name, epoch, step, int(final), loss, sha256, size_bytes, time.time(), job_id),
        )
        if not rows:  # removed this very moment
            await asyncio.to_thread(shutil.rmtree, self.folder(job_id), ignore_errors=True)
        return bool(rows) and known is None

    async def remove_file(self, job_id: JobId, name: str) -> None:
        """The row first: a file without one is swept."""
        if _NAME.fullmatch(name) is None:
            return
        await self._db.write_one("DELETE FROM training_files WHERE job_id = ? AND name = ?", (job_id, name))
        await asyncio.to_thread(_unlink, self._path(job_id, name))

    async def remove(self, job_id: JobId) -> None:
        """With all its files. Its job stays in the history of jobs."""
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM training_files WHERE job_id = ?", (job_id,))
            await tx.execute("DELETE FROM trainings WHERE job_id = ?", (job_id,))
        await asyncio.to_thread(shutil.rmtree, self.folder(job_id), ignore_errors=True)
        for heard in self._heard_removed:
            heard(job_id)

    async def sweep(self) -> None:
        """Files that no row knows: the bot died before it could remove them, or before it wrote the row of one that
        arrived, which the worker's outbox still holds."""
        rows = await self._db.all("SELECT job_id, name FROM training_files", ())
        known = {(row["job_id"], f"{row['name']}{SUFFIX}") for row in rows}
        await asyncio.to_thread(_swept, self._root, known)

    def _path(self, job_id: JobId, name: str) -> Path:
        return self._root / job_id / f"{name}{SUFFIX}"

    def _file(self, row: Row) -> SavedFile:
        return SavedFile(
            job_id=JobId(row["job_id"]),
            name=row["name"],
            epoch=row["epoch"],
            step=row["step"],
            final=row["final"] > 0,
            loss=row["loss"],
            sha256=row["sha256"],
            size_bytes=row["size_bytes"],
            sample_job_id=JobId(row["sample_job_id"]) if row["sample_job_id"] else None,
            arrived_at=row["arrived_at"],
            path=self._path(JobId(row["job_id"]), row["name"]),
        )


def _training(row: Row) -> Training:
    return Training(
        job_id=JobId(row["job_id"]),
        user_id=UserId(row["user_id"]),
        guild_id=GuildId(row["guild_id"]) if row["guild_id"] is not None else None,
        dataset_id=row["dataset_id"],
        name=row["name"],
        trigger_words=row["trigger_words"],
        preset=row["preset"],
        samples=tuple(json.loads(row["samples"])),
        curve=tuple(json.loads(row["curve"])),
        step=row["step"],
        of_steps=row["of_steps"],
        retry_of=JobId(row["retry_of"]) if row["retry_of"] else None,
        comparison_id=JobId(row["comparison_id"]) if row["comparison_id"] else None,
        findings=json.loads(row["findings"]) if row["findings"] else None,
        published=row["published"],
        created_at=row["created_at"],
        status=JobStatus(row["status"]),
        held=row["held_at"] is not None,
        compare=row["compare"] > 0,
        nsfw=bool(row["nsfw"]),
    )


def _thinned(curve: Sequence[float]) -> list[float]:
    if len(curve) <= CURVE_POINTS_MAX:
        return list(curve)
    last = len(curve) - 1
    return [curve[round(place * last / (CURVE_POINTS_MAX - 1))] for place in range(CURVE_POINTS_MAX)]


def _taken(source: Path, target: Path, sha256: str) -> bool:
    """The source stays until the row is written, so that whoever dies before that finds it again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.part")
    beside.unlink(missing_ok=True)
    try:
        try:
            os.link(source, beside)
        except OSError:  # another file system, or one that knows no links
            shutil.copyfile(source, beside)
    except FileNotFoundError:
        return False
    if not _whole(beside, sha256):
        beside.unlink(missing_ok=True)
        return False
    move(beside, target)
    return True


def _whole(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _swept(root: Path, known: set[tuple[str, str]]) -> None:
    for path in root.glob("*/*"):
        if (path.parent.name, path.name) not in known:
            _unlink(path)
    for folder in root.glob("*"):
        with contextlib.suppress(OSError):
            folder.rmdir()  # where nothing is left in it
