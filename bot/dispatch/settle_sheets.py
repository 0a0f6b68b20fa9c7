"""How a sheet ends in the table: each cell gets a job of its own with its picture, and the sheet delivers nothing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.dispatch.verdicts import WITHHELD, ResultJudge, Verdict
from bot.domain.job import Image, Job, JobStatus
from bot.storage.database import Database
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import WAITING, Jobs
from bot.storage.picture_looks import PictureLook, PictureLooks
from bot.storage.scripts import add_cells_in, missing_columns
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Sheet

__all__ = ["SheetSettler"]

Take = Callable[[Job, int, m.Done, m.Output], Awaitable[Image]]
Withhold = Callable[[Job, m.Done, Verdict], Awaitable[JobStatus | None]]


class SheetSettler:
    def __init__(
        self, *, database: Database, jobs: Jobs, images: Images, looks: PictureLooks, judge: ResultJudge | None
    ) -> None:
        self._db = database
        self._jobs = jobs
        self._images = images
        self._looks = looks
        self._judge = judge

    async def done(self, job: Job, sheet: Sheet, done: m.Done, take: Take, withhold: Withhold) -> JobStatus | None:
        """`take` moves one picture into the outputs folder, `withhold` ends a job of which none may be kept. Returns
        as `Settler.settle`; raises MissingPictureError, too, where pictures and cells do not fit together."""
        lost = {one.index for one in done.missing}
        drawn = [index for index in range(len(sheet.cells)) if index not in lost]
        if len(drawn) != len(done.outputs):
            raise MissingPictureError(f"{len(done.outputs)} pictures for {len(drawn)} cells")
        judged = [
            await self._judged(replace(job, task=sheet.cells[index]), output)
            for index, output in zip(drawn, done.outputs, strict=True)
        ]
        withheld = [verdict for verdict in judged if verdict.reason is not None]
        if withheld and not any(verdict.kept for verdict in judged):
            return await withhold(job, done, withheld[0])
        images: list[Image] = []
        looks: list[PictureLook | None] = []
        missing = list(done.missing)
        for index, output, verdict in zip(drawn, done.outputs, judged, strict=True):
            if verdict.kept:
                images.append(await take(job, index, done, output))
                looks.append(verdict.kept[0])
            else:
                missing.append(m.Missing(index=index, kind="other", detail={"reason": WITHHELD}))
        if not await self._committed(job, sheet, done, images, looks, missing):
            for image in images:  # cancelled while its pictures were being moved
                await self._images.discard(image.path)
            return None
        if self._judge is not None:
            for verdict in withheld:
                await self._judge.told(job, verdict)
        return JobStatus.DELIVERED

    async def _judged(self, cell: Job, output: m.Output) -> Verdict:
        """By its own request: what another cell says is no circumstance of this one."""
        return await self._judge.judge(cell, [output]) if self._judge is not None else Verdict({0: None})

    async def _committed(
        self,
        job: Job,
        sheet: Sheet,
        done: m.Done,
        images: list[Image],
        looks: list[PictureLook | None],
        missing: list[m.Missing],
    ) -> bool:
        places = sheet.places or tuple(range(len(sheet.cells)))
        now = time.time()
        async with self._db.write() as tx:
            acted = await self._jobs.transition_in(
                tx, job.id, WAITING, JobStatus.DELIVERED, finished_at=now, told_at=now, run_s=done.run_s,
                **missing_columns(places, missing),
            )  # fmt: skip
            await self._jobs.end_attempt(tx, job.id, done.attempt, "done")
            if acted:
                drawn = [(places[image.index], sheet.cells[image.index]) for image in images]
                cells = await add_cells_in(tx, job, drawn)
                owned = [replace(image, job_id=id_, index=0) for image, id_ in zip(images, cells, strict=True)]
                await self._images.add_in(tx, owned)
                await self._looks.add_in(
                    tx, {image.id: look for image, look in zip(owned, looks, strict=True) if look is not None}
                )
                await self._jobs.end_open_attempts(tx, job.id)
        return acted
