"""Where each waiting job stands: its place in the line and when its pictures will be ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bot.dispatch.policy import Candidate, FairClock, Line, plan
from bot.dispatch.workers import Assigned, Roster, WorkerView
from bot.domain.ids import JobId
from bot.domain.job import TASK_MODEL, JobStatus, Lane
from bot.storage.jobs import QueueRow

__all__ = ["Standing", "stand"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a waiting job is."""

    position: int
    """1 is next; 0 is running now. Trainings, which come after everything, have a line of their own."""
    waiting: int
    eta_s: float | None
    """Until its pictures are ready; None before anything was learnt."""
    loading: bool = False
    """Its worker has taken it and reads the checkpoint first, which nobody can foretell."""
    paused: bool = False
    """An admin holds its part of the line, or its user the training: it is counted behind all that may go."""


async def stand(
    rows: Sequence[QueueRow],
    workers: Roster,
    clock: FairClock,
    candidate: Callable[[QueueRow], Candidate],
    *,
    now: float,
    learnt: bool,
    is_paused: Callable[[int | None], bool] = lambda _: False,
    pace: Callable[[WorkerView, str], float] = lambda _, __: 1.0,
    load_s: Callable[[WorkerView, str], float] = lambda _, __: 0.0,
    fetch_s: Callable[[WorkerView, str], float] = lambda _, __: 0.0,
    prepares_s: Callable[[WorkerView, Assigned], float] = lambda _, __: 0.0,
) -> Mapping[JobId, Standing]:
    """`now` is on the clock of the workers' `started_at`; `is_paused` says which servers' jobs stay where they are;
    `pace`, `load_s` and `fetch_s` are those of a `Hand`; `prepares_s`: of what a worker holds, until it is drawn.
    The planning itself runs off the event loop."""
    everybody = [candidate(row) for row in rows if row.status is JobStatus.QUEUED]
    held = {row.id for row in rows if row.held}
    queued = [job for job in everybody if job.id not in held and not is_paused(job.guild_id)]
    paused = [job.id for job in everybody if job.id in held or is_paused(job.guild_id)]
    cost_s = {row.id: candidate(row).cost_s for row in rows if row.status is JobStatus.ASSIGNED}
    running: list[tuple[JobId, float]] = []
    prefetched: list[tuple[float, JobId, float]] = []
    lines: list[Line] = []
    models = {job.model for job in queued}
    loading: set[JobId] = set()
    for view in workers.values():
        free_s = trains_for_s = 0.0
        for held in view.assigned.values():
            if held.trains:  # it makes way, so nobody waits for it
                trains_for_s = cost_s.pop(JobId(held.job), 0.0)
                running.append((JobId(held.job), trains_for_s))
                continue
            job_id = JobId(held.job)
            loads = held.model != view.loaded and not held.model.startswith(TASK_MODEL)
            if free_s == 0.0 and not held.started and loads:
                loading.add(job_id)
            whole_s = cost_s.pop(job_id, 0.0) * pace(view, held.model) + prepares_s(view, held)
            begins_s = free_s
            elapsed_s = now - held.started_at if held.started_at is not None else 0.0
            free_s += max(0.0, whole_s - elapsed_s)
            if held.started:
                running.append((job_id, free_s))
            else:
                prefetched.append((begins_s, job_id, free_s))
        if view.takes_work:
            refuses = frozenset(model for model in models if not workers.may_draw(view, model))
            lines.append(
                Line(
                    view.planned_model, free_s, view.hello.lanes, refuses, trains_for_s,
                    pace=partial(pace, view), load_s=partial(load_s, view), fetch_s=partial(fetch_s, view),
                )
            )  # fmt: skip
    # Claimed before our restart and not reported yet.
    running.extend(cost_s.items())
    planned = await asyncio.to_thread(plan, queued, clock.copy(), lines)
    waiting = [(job_id, ready_s) for _, job_id, ready_s in sorted(prefetched)]
    waiting.extend((job.id, ready_s) for job, ready_s in planned)
    trainings = {row.id for row in rows if row.lane is Lane.TRAINING}
    found: dict[JobId, Standing] = {}
    for of_trainings in (False, True):
        line = [one for one in waiting if (one[0] in trainings) is of_trainings]
        stopped = [job_id for job_id in paused if (job_id in trainings) is of_trainings]
        whole = len(line) + len(stopped)
        for job_id, ready_s in running:
            if (job_id in trainings) is of_trainings:
                found[job_id] = Standing(0, whole, ready_s if learnt else None)
        for position, (job_id, ready_s) in enumerate(line, start=1):
            eta_s = ready_s if learnt and job_id not in loading else None
            found[job_id] = Standing(position, whole, eta_s, job_id in loading)
        for position, job_id in enumerate(stopped, start=len(line) + 1):
            found[job_id] = Standing(position, whole, None, paused=True)
    return found
