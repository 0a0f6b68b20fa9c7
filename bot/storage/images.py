"""Finished pictures: files in the outputs folder, their path, hash and lineage in the database."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import aiosqlite

from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Action, Image, Job
from bot.storage.database import Database, Row
from bot.storage.durable import move
from bot.storage.prompt_sql import ALL_PROMPTS, PICTURE_PROMPT

__all__ = ["Images", "MissingPictureError"]

log = logging.getLogger(__name__)


class MissingPictureError(Exception):
    """The file is gone or no longer what was stored; render it again from its recorded seed."""


class Images:
    def __init__(self, database: Database, outputs_dir: Path) -> None:
        self._db = database
        self._root = outputs_dir
        self._listeners: list[Callable[[Sequence[Image]], None]] = []

    def place(self, job: Job, index: int, suffix: str) -> str:
        """Where a new picture goes, relative to the outputs folder: a folder a day. The same for every attempt."""
        return f"{time.strftime('%Y-%m-%d', time.gmtime(job.created_at))}/{job.id}-{index + 1}{suffix}"

    async def take(self, source: Path, place: str, sha256: str) -> None:
        """Moves a finished file into the outputs folder, durably, off the loop; repeating it after a crash is harmless.

        Raises MissingPictureError where it is gone or damaged, OSError where the disk is full.
        """
        await asyncio.to_thread(_take, source, self._root / place, sha256)

    async def put(self, data: bytes, place: str) -> str:
        """Writes a picture that was made here, durably, off the loop, and returns its hash. Repeating it is harmless;
        raises OSError where the disk is full."""
        return await asyncio.to_thread(_put, data, self._root / place)

    async def discard(self, place: str) -> None:
        """Removes a file that `take` brought and no row will know."""
        await asyncio.to_thread((self._root / place).unlink, missing_ok=True)

    async def add_in(self, tx: aiosqlite.Connection, images: Sequence[Image]) -> None:
        await tx.executemany(
            "INSERT INTO images (id, job_id, idx, path, sha256, mime, width, height, size_bytes, seed, infotext, "
            "parent_image_id, action, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    i.id, i.job_id, i.index, i.path, i.sha256, i.mime, i.width, i.height, i.size_bytes, str(i.seed),
                    i.infotext, i.parent_image_id, i.action, time.time(),
                )
                for i in images
            ],
        )  # fmt: skip
        await tx.executemany(
            "INSERT OR IGNORE INTO history_prompts (job_id, user_id, prompt) "  # noqa: S608
            f"SELECT id, user_id, {ALL_PROMPTS} FROM jobs WHERE id = ?",
            [(job_id,) for job_id in {image.job_id for image in images}],
        )

    async def get(self, image_id: ImageId) -> Image | None:
        row = await self._db.one("SELECT * FROM images WHERE id = ?", (image_id,))
        return _image(row) if row else None

    async def of_job(self, job_id: JobId) -> list[Image]:
        rows = await self._db.all("SELECT * FROM images WHERE job_id = ? ORDER BY idx", (job_id,))
        return [_image(row) for row in rows]

    async def of_cells(self, script_id: JobId) -> dict[int, Image]:
        """The pictures of a script's cells that are there, by place."""
        rows = await self._db.all(
            "SELECT images.*, jobs.place FROM jobs JOIN images ON images.job_id = jobs.id "
            "WHERE jobs.script_id = ? AND jobs.place IS NOT NULL AND images.deleted_at IS NULL ORDER BY jobs.place",
            (script_id,),
        )
        return {row["place"]: _image(row) for row in rows}

    async def recent_of(self, user_id: UserId, words: str, limit: int) -> list[tuple[Image, str]]:
        """That person's newest pictures, each with its prompt (empty where there is none), as far as that, or the
        picture's id, holds `words`."""
        rows = await self._db.all(
            f"SELECT images.*, {PICTURE_PROMPT} AS prompt FROM jobs "  # noqa: S608
            "JOIN images ON images.job_id = jobs.id WHERE jobs.user_id = ?1 AND images.deleted_at IS NULL "
            f"AND (?2 = '' OR instr(lower({PICTURE_PROMPT}), ?2) "
            "OR instr(images.id, ?2)) ORDER BY jobs.created_at DESC, images.idx LIMIT ?3",
            (user_id, words.lower(), limit),
        )
        return [(_image(row), str(row["prompt"])) for row in rows]

    async def read(self, image: Image) -> bytes:
        """Raises MissingPictureError where the file is gone or does not match its hash."""
        return await asyncio.to_thread(self.read_here, image)

    def read_here(self, image: Image) -> bytes:
        """The same for whoever is off the loop already."""
        return _read_checked(self._root / image.path, image.sha256)

    def file(self, image: Image) -> Path:
        return self._root / image.path

    def file_at(self, place: str) -> Path:
        """Of a picture's `path`."""
        return self._root / place

    def subscribe_deleted(self, listener: Callable[[Sequence[Image]], None]) -> None:
        """`listener` gets the pictures that were just deleted for good. It must not block or raise."""
        self._listeners.append(listener)

    async def delete_of_job(self, job_id: JobId) -> None:
        """Deletes the files; the rows stay, so results made from them keep their lineage and can be re-rendered.
        What could still be brought back is deleted for good, too."""
        images = await self.of_job(job_id)
        await self._db.write_one(
            "DELETE FROM deletion_items WHERE image_id IN (SELECT id FROM images WHERE job_id = ?)", (job_id,)
        )
        await self.delete(images)

    async def delete(self, images: Sequence[Image]) -> None:
        """The same for single pictures; repeating it is harmless."""
        if not images:
            return
        async with self._db.write() as tx:
            await tx.executemany(
                "UPDATE images SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL",
                [(time.time(), image.id) for image in images],
            )
        for image in images:
            try:
                await asyncio.to_thread((self._root / image.path).unlink, missing_ok=True)
            except OSError:  # Windows refuses while somebody has it open; for every user of this bot it is gone
                log.exception("the deleted picture %s could not be removed from disk; remove it by hand", image.path)
        for listener in self._listeners:
            listener(images)


def _take(source: Path, target: Path, sha256: str) -> None:
    if source.exists():
        move(source, target)
    # Missing here, but already there: the bot died between this move and its commit.
    _read_checked(target, sha256)


def _put(data: bytes, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.made")
    try:
        part.write_bytes(data)
        move(part, target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return hashlib.sha256(data).hexdigest()


def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingPictureError(path.name) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise MissingPictureError(path.name)
    return data


def _image(row: Row) -> Image:
    return Image(
        id=ImageId(row["id"]),
        job_id=JobId(row["job_id"]),
        index=row["idx"],
        path=row["path"],
        sha256=row["sha256"],
        mime=row["mime"],
        width=row["width"],
        height=row["height"],
        size_bytes=row["size_bytes"],
        seed=int(row["seed"]),
        infotext=row["infotext"],
        action=Action(row["action"]),
        parent_image_id=ImageId(row["parent_image_id"]) if row["parent_image_id"] else None,
        deleted=row["deleted_at"] is not None,
    )
