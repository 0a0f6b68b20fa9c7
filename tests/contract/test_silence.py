"""Workers that fall silent without dying, and GPU threads that are merely busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from bot.domain.job import JobStatus
from tests.contract.kits import CONTINUE, STOP

needs_stop = pytest.mark.skipif(not STOP, reason="this system cannot stop a process")


@pytest.fixture
async def stopped(two) -> AsyncGenerator[tuple[object, str, str]]:
    """Two workers; the one that draws `label:x` is stopped in the middle. Yields the job and that worker's name."""
    job = await two.submit("label:x sleep:0.5")
    await two.running(job)
    worker = next(p.worker for p in two.seen.progress if p.job == job)
    assert two.kit.signal(two.transport, worker, STOP)
    yield two, job, worker
    two.kit.signal(two.transport, worker, CONTINUE)


@needs_stop
async def test_job_of_a_silent_worker_runs_elsewhere_and_its_late_result_is_dropped(stopped):
    two, job, worker = stopped
    await two.ended([job])
    assert two.journal()["start x"] == 2
    assert [view.name for view in two.dispatcher.workers] != [worker]
    two.kit.signal(two.transport, worker, CONTINUE)
    await two.workers_ready(2)
    await two.settled(("w1", "w2"))
    await two.check_delivered_once([job])
    more = [await two.submit("sleep:0.1") for _ in range(4)]
    await two.ended(more)
    await two.check_delivered_once([job, *more])


@needs_stop
async def test_other_jobs_go_on_while_one_worker_is_silent(stopped):
    two, job, _ = stopped
    others = [await two.submit() for _ in range(8)]
    assert set(await two.ended([job, *others])) == {JobStatus.DONE}


@needs_stop
async def test_worker_that_comes_back_in_time_keeps_its_job(farm):
    job = await farm.submit("label:x sleep:1.5")
    await farm.running(job)
    farm.kit.signal(farm.transport, "w1", STOP)
    async with asyncio.timeout(60):
        while (await farm.job(job)).status is not JobStatus.QUEUED:
            await asyncio.sleep(0.02)
    farm.kit.signal(farm.transport, "w1", CONTINUE)
    assert await farm.ended([job]) == [JobStatus.DONE]
    # Nobody else had begun it, so what was paid for is kept, and silence is no crash.
    assert farm.journal()["start x"] == 1
    assert (await farm.job(job)).crashes == 0
    await farm.check_delivered_once([job])


async def test_heartbeat_goes_on_while_the_gpu_thread_is_blocked(farm):
    job = await farm.submit("label:x block:2.5")  # more than two leases
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert farm.journal()["start x"] == 1
    assert (await farm.job(job)).attempt == 1
