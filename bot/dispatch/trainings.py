"""How far trainings are, kept well enough that whoever dies next loses some seconds of it; and how fast they go."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.domain.ids import JobId
from bot.domain.job import Job
from bot.storage.facts import Timings
from bot.storage.trainings import Trainings
from gpu_worker.protocol.messages import TrainingTold

__all__ = ["NOTE_EVERY_S", "Pace", "TrainingLog"]

log = logging.getLogger(__name__)

NOTE_EVERY_S = 5.0
LEARNT_STEPS = 10
"""Fewer say nothing about the speed."""


@dataclass
class Pace:
    """Of one attempt, between the first step that it was heard of at and the last."""

    first_step: int
    first_at: float
    step: int
    at: float
    of: int

    @property
    def share(self) -> float:
        """Of the whole training."""
        return (self.step - self.first_step) / self.of if self.of > 0 else 0.0


class TrainingLog:
    def __init__(self, trainings: Trainings | None, timings: Timings) -> None:
        self._trainings = trainings
        self._timings = timings
        self._told: dict[JobId, TrainingTold] = {}
        self._noted_at: dict[JobId, float] = {}

    def hear(self, job_id: JobId, told: TrainingTold, now: float) -> bool:
        """True where it is time to `flush`."""
        self._told[job_id] = told
        noted_at = self._noted_at.setdefault(job_id, now)
        if now - noted_at < NOTE_EVERY_S:
            return False
        self._noted_at[job_id] = now
        return True

    async def flush(self, job_id: JobId) -> None:
        """Writes what was heard last. Never raises: the next one is as good."""
        told = self._told.pop(job_id, None)
        if told is None or self._trainings is None:
            return
        try:
            await self._trainings.note_progress(job_id, told.step, told.total_steps, told.curve)
        except Exception:
            log.exception("how far training %s is could not be written", job_id)

    def forget(self, job_id: JobId) -> None:
        """Its attempt is over."""
        self._told.pop(job_id, None)
        self._noted_at.pop(job_id, None)

    async def learn(self, job: Job, gpu: str, pace: Pace | None) -> None:
        """Preparing is left out: it is paid for once an attempt. Never raises."""
        if job.training is None or pace is None or pace.step - pace.first_step < LEARNT_STEPS:
            return
        try:
            await self._timings.learn_training(
                job.training.checkpoint, gpu, job.work_units * pace.share, pace.at - pace.first_at
            )
        except Exception:
            log.exception("the speed of training %s was not learnt", job.id)
