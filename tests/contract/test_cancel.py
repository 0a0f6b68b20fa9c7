"""Cancelling what waits, what runs, and what is just done."""

from __future__ import annotations

import asyncio

from bot.domain.job import JobStatus


async def test_queued_job_is_cancelled_at_once_and_never_starts(farm):
    blocker = await farm.submit("sleep:0.2")
    await farm.running(blocker)
    waiting = [await farm.submit(f"label:w{n}") for n in range(4)]
    assert await farm.dispatcher.cancel(waiting[-1], 1) is JobStatus.CANCELLED
    await farm.ended([blocker, *waiting])
    assert farm.journal()["start w3"] == 0
    assert farm.seen.ends.count(waiting[-1]) == 1


async def test_running_job_stops_within_a_step(farm):
    job = await farm.submit("label:r sleep:60")
    await farm.running(job)
    assert await farm.dispatcher.cancel(job, 1) is JobStatus.ASSIGNED
    assert await farm.ended([job]) == [JobStatus.CANCELLED]
    assert farm.journal()["cancelled r"] == 1
    assert farm.seen.ends == [job]
    after = await farm.submit()
    assert await farm.ended([after]) == [JobStatus.DONE]


async def test_prefetched_job_is_cancelled_though_its_worker_is_busy(farm):
    blocker = await farm.submit("sleep:0.6")
    await farm.running(blocker)
    prefetched = await farm.submit("label:p")
    async with asyncio.timeout(60):
        while (await farm.job(prefetched)).status is not JobStatus.ASSIGNED:
            await asyncio.sleep(0.01)
    assert await farm.dispatcher.cancel(prefetched, 1) is JobStatus.ASSIGNED
    assert await farm.ended([prefetched]) == [JobStatus.CANCELLED]
    assert (await farm.job(blocker)).status is JobStatus.ASSIGNED
    await farm.ended([blocker])
    assert farm.journal()["start p"] == 0


async def test_cancel_racing_done_ends_once_either_way(farm):
    outcomes = set()
    for n in range(12):
        job = await farm.submit("sleep:0.02")
        await asyncio.sleep(0.004 * n)
        await farm.dispatcher.cancel(job, 1)
        outcomes.update(await farm.ended([job]))
        await asyncio.sleep(0.02)
        assert farm.seen.ends.count(job) == 1
    assert outcomes <= {JobStatus.DONE, JobStatus.CANCELLED}
    await farm.settled(["w1"])


async def test_cancel_twice_and_cancel_of_the_unknown_do_nothing(farm):
    job = await farm.submit("sleep:60")
    await farm.running(job)
    await farm.dispatcher.cancel(job, 1)
    await farm.dispatcher.cancel(job, 2)
    assert await farm.ended([job]) == [JobStatus.CANCELLED]
    assert (await farm.job(job)).cancel_by == 1
    assert await farm.dispatcher.cancel(job, 1) is JobStatus.CANCELLED
    assert await farm.dispatcher.cancel("nosuchjob", 1) is None
