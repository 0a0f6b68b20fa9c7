"""Attempts that end without a word: a worker gone or silent, a job that nobody is known to hold."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from bot.dispatch.floor import Floor
from bot.dispatch.leases import Orphan
from bot.dispatch.settle import Settler
from bot.dispatch.trainings import TrainingLog
from bot.dispatch.workers import Assigned, WorkerView
from bot.domain.ids import JobId
from bot.domain.job import JobStatus
from bot.storage.jobs import Jobs

__all__ = ["Losses"]

log = logging.getLogger(__name__)


class Losses:
    def __init__(self, floor: Floor, *, jobs: Jobs, settler: Settler, trainings: TrainingLog) -> None:
        self._floor = floor
        self._jobs = jobs
        self._settler = settler
        self._trainings = trainings
        self._was_connected = True

    async def close_training(self, held: Assigned, said_s: float | None = None) -> float:
        """Before an attempt of a training ends, however it does: how far it came is written, and its user's share is
        charged by what it took. The seconds it ran, which its worker may say; 0 for every other job."""
        if not held.trains:
            return 0.0
        await self._trainings.flush(JobId(held.job))
        self._trainings.forget(JobId(held.job))
        used_s = said_s
        if used_s is None:
            used_s = max(0.0, self._floor.clock() - held.started_at) if held.started_at is not None else 0.0
        if held.charged is not None:
            self._floor.fair.charge_used(held.charged, used_s)
            held.charged = None
        return used_s

    async def lose(
        self, job_id: JobId, attempt: int, *, blamed: bool, outcome: str, held: Assigned | None = None
    ) -> JobStatus | None:
        """An attempt is lost: back to the queue, cancelled if that was asked, failed after too many blamed starts.

        Where the table cannot be written just now, it is tried again with the leases.
        """
        used_s = await self.close_training(held) if held is not None else 0.0
        try:
            status = await self._settler.lose(
                job_id, attempt, blamed=blamed, outcome=outcome, max_crashes=self._floor.leases.max_crashes,
                used_s=used_s,
            )  # fmt: skip
        except Exception:
            log.exception("the loss of job %s, attempt %s, could not be stored yet; it is tried again", job_id, attempt)
            self._floor.orphans[job_id] = Orphan(attempt, "", self._floor.clock(), blamed, outcome)
            return None
        self._floor.orphans.pop(job_id, None)
        if status is not None and not status.waiting:
            self._floor.ended(job_id)
        else:
            self._floor.changed()
        return status

    async def lose_all(self, view: WorkerView, *, started: str) -> None:
        blamed = view.on_gpu()
        for held in list(view.assigned.values()):
            status = await self.lose(
                JobId(held.job), held.attempt, blamed=held in blamed, outcome=started if held in blamed else "lost",
                held=held,
            )  # fmt: skip
            if held in blamed and not held.trains and status is not None and status.waiting:
                self._floor.trust.failed(view.name, held.job)
        view.assigned.clear()  # whoever is about to send it one of them sees that it is over
        self._floor.changed()

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._floor.leases.lease_s / 4))
            try:
                await self.check()
            except Exception:
                log.exception("lease check failed; it goes on")

    async def check(self) -> None:
        now, lease_s = self._floor.clock(), self._floor.leases.lease_s
        if self._floor.look_again_at is not None and now >= self._floor.look_again_at:
            self._floor.look_again_at = None
            self._floor.wake.set()
        if not self._floor.transport.connected:
            self._was_connected = False
            return
        if not self._was_connected:
            # We were cut off, not they: everybody gets a whole lease to be heard again.
            self._was_connected = True
            self._forgive(now)
        for view in list(self._floor.workers.values()):
            if now - view.seen_at > lease_s:
                log.warning("worker %s is silent: no heartbeat for %g s", view.name, lease_s)
                del self._floor.workers[view.name]
                await self.lose_all(view, started="silent")
                continue
            for held in list(view.assigned.values()):
                # Missing from heartbeats for a whole lease, not for one: its `done` may be under way.
                if now - held.seen_at > lease_s and not self._floor.end_is_under_way(JobId(held.job)):
                    del view.assigned[held.job]
                    await self.lose(JobId(held.job), held.attempt, blamed=False, outcome="lost", held=held)
        await self._find_orphans(now)
        for job_id, orphan in list(self._floor.orphans.items()):
            if now > orphan.deadline and not self._floor.end_is_under_way(job_id):
                await self.lose(job_id, orphan.attempt, blamed=orphan.blamed, outcome=orphan.outcome)

    async def _find_orphans(self, now: float) -> None:
        claims = {claim.job_id: claim for claim in await self._jobs.assigned()}
        for job_id in [*self._floor.orphans]:
            if job_id not in claims or any(self._floor.workers.holders(job_id)):
                del self._floor.orphans[job_id]
        for job_id, claim in claims.items():
            if job_id not in self._floor.orphans and not any(self._floor.workers.holders(job_id)):
                self._floor.orphans[job_id] = Orphan(claim.attempt, claim.worker, now + self._floor.leases.lease_s)

    def _forgive(self, now: float) -> None:
        deadline = now + self._floor.leases.lease_s
        for view in self._floor.workers.values():
            view.seen_at = now
            for held in view.assigned.values():
                held.seen_at = now
        for job_id, orphan in self._floor.orphans.items():
            self._floor.orphans[job_id] = replace(orphan, deadline=max(orphan.deadline, deadline))
