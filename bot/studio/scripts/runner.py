"""Brings scripts to their end: hears of their sheets, has the card's grid fill, and puts the finished one together.

Everything that it knows it reads off the table, so a bot that died goes on wherever it was: sheets that wait are drawn,
a cancel is completed, and a grid is put together once, by the one transition from `queued` to `done`. From there the
delivery of finished jobs takes over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from bot.delivery.progress import CardEditor
from bot.domain.ids import JobId
from bot.domain.job import Job, JobStatus
from bot.storage.database import Database
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.picture_looks import PictureLooks
from bot.storage.scripts import Progressed, Scripts
from bot.studio.scripts.grids import Grids

__all__ = ["ScriptRunner"]

log = logging.getLogger(__name__)

RETRY_S = 5.0


class ScriptRunner:
    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        images: Images,
        scripts: Scripts,
        looks: PictureLooks,
        grids: Grids,
        editor: CardEditor,
        cancel_sheets: Callable[[JobId, None], Awaitable[bool]],
        ended: Callable[[JobId], None],
    ) -> None:
        """`cancel_sheets` completes a cancel; `ended` is told of a script that has ended in the table."""
        self._db = database
        self._jobs = jobs
        self._images = images
        self._scripts = scripts
        self._looks = looks
        self._grids = grids
        self._editor = editor
        self._cancel_sheets = cancel_sheets
        self._ended = ended
        self._queue: asyncio.Queue[JobId] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Goes on with what an earlier life of the bot left."""
        for script_id in await self._scripts.open():
            self._editor.watch(script_id)
            self._editor.script_changed(script_id)
            self._queue.put_nowait(script_id)
        self._spawn(self._work(), "scripts")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def job_ended(self, job_id: JobId) -> None:
        """Some job has ended; perhaps it was a sheet."""
        self._queue.put_nowait(job_id)

    # --- work ---------------------------------------------------------------------------------------------------------

    def _spawn(self, coroutine: object, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        while True:
            job_id = await self._queue.get()
            try:
                await self._look(job_id)
            except Exception:
                log.exception("script of job %s could not go on; it is tried again in %g s", job_id, RETRY_S)
                self._spawn(self._later(job_id), f"script-later-{job_id}")

    async def _later(self, job_id: JobId) -> None:
        await asyncio.sleep(RETRY_S)
        self._queue.put_nowait(job_id)

    async def _look(self, job_id: JobId) -> None:
        script_id = await self._scripts.waiting(job_id)
        if script_id is None:
            return
        job = await self._jobs.get(script_id)
        if job is None or job.script is None:
            given_up = await self._scripts.give_up(script_id)
            log.error("script %s was stored by another version and cannot be read", script_id)
            for ended in given_up:
                self._ended(ended)
            return
        progress = await self._scripts.progress(job.id)
        if not progress.is_over:
            if job.cancel_by is not None:  # whoever died in between may not have reached them all
                await self._cancel_sheets(job.id, None)
            self._editor.script_changed(job.id)
            return
        await self._finish(job, progress)

    async def _finish(self, job: Job, progress: Progressed) -> None:
        """Raises OSError or StorageFullError where there is no room: tried again."""
        if await self._scripts.is_deleted(job.id):
            await self._delete_cells(job)
        there = [cell for cell in await self._scripts.pictures(job.id) if not cell.deleted]
        if not there:  # none was drawn, or somebody has deleted all of them
            acted = await self._end_without(job, failed=progress.drawn == 0)
        else:
            acted = await self._end_with_grid(job)
        if acted:
            if await self._scripts.is_deleted(job.id):  # in the very moment it was put together
                await self._images.delete_of_job(job.id)
            log.info("script %s has ended with %s of %s cells", job.id, progress.drawn, progress.total)
            self._grids.forget(job.id)
            self._ended(job.id)

    async def _delete_cells(self, job: Job) -> None:
        """What was drawn after its card was deleted."""
        for cell in await self._jobs.cells_without_card(job.id):
            await self._images.delete_of_job(cell.id)
            await self._jobs.set_deleted(cell.id)

    async def _end_without(self, job: Job, *, failed: bool) -> bool:
        if job.cancel_by is not None or not failed:
            return await self._jobs.transition(
                job.id, (JobStatus.QUEUED,), JobStatus.CANCELLED, finished_at=time.time()
            )
        columns = await self._scripts.first_failure(job.id)
        return await self._jobs.transition(
            job.id, (JobStatus.QUEUED,), JobStatus.FAILED, finished_at=time.time(), **columns
        )

    async def _end_with_grid(self, job: Job) -> bool:
        made = await self._grids.finished(job)
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, (JobStatus.QUEUED,), JobStatus.DONE, finished_at=time.time()
            )
            if acted:
                await self._images.add_in(tx, made.images)
                await self._looks.add_in(tx, made.looks)
        return acted
