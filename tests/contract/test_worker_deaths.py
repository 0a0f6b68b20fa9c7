"""kill -9 of workers: nothing lost, nothing told twice, only what was running is drawn again."""

from __future__ import annotations

import asyncio
import random

import pytest

from bot.domain.job import JobStatus
from tests.contract.kits import KILL


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_random_kills_lose_nothing_and_double_nothing(two, seed):
    chance = random.Random(seed)
    jobs = [await two.submit("sleep:0.05", user=n % 5) for n in range(40)]
    kills = 0
    ends = asyncio.ensure_future(two.ended(jobs))
    while not ends.done() and kills < 6:
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        if any([(await two.job(job)).crashes == 2 for job in jobs]):
            continue  # a third start that kills would be the job's own fault, and fail it
        kills += two.kit.signal(two.transport, chance.choice(("w1", "w2")), KILL)
    await ends
    await two.check_delivered_once(jobs)
    journal = two.journal()
    again = sum(journal[f"start {job}"] - 1 for job in jobs)
    # What a worker draws, and what it has drawn and is just writing down.
    assert again <= 2 * kills, "more was drawn again than was running"


async def test_running_job_of_a_dead_worker_is_drawn_again_and_only_that(farm):
    first, second = await farm.submit("label:a sleep:0.3"), await farm.submit("label:b sleep:0.1")
    await farm.running(first)
    assert farm.kit.signal(farm.transport, "w1", KILL)
    await farm.ended([first, second])
    assert farm.journal()["start a"] == 2
    assert farm.journal()["start b"] == 1
    assert (await farm.job(first)).crashes == 1
    assert (await farm.job(second)).crashes == 0  # prefetched, never started: not to blame
    await farm.check_delivered_once([first, second])


async def test_poison_job_fails_after_three_starts_and_the_others_are_done(farm):
    before = await farm.submit("label:before sleep:0.05")
    poison = await farm.submit("label:poison poison")
    after = [await farm.submit(user=2) for _ in range(5)]
    assert await farm.ended([poison]) == [JobStatus.FAILED]
    await farm.ended([before, *after])
    assert (await farm.job(poison)).failure_kind == "crash"
    assert farm.journal()["start poison"] == 3
    assert farm.seen.ends.count(poison) == 1
    await farm.check_delivered_once([before, *after])
    assert [(await farm.job(job)).crashes for job in (before, *after)] == [0] * 6


async def test_cancel_of_a_job_whose_worker_dies_is_carried_out(farm):
    job = await farm.submit("label:x block:20")  # cannot notice the cancel
    async with asyncio.timeout(60):
        while not farm.journal()["start x"]:
            await asyncio.sleep(0.02)
    assert await farm.dispatcher.cancel(job, 1) is JobStatus.ASSIGNED
    assert farm.kit.signal(farm.transport, "w1", KILL)
    assert await farm.ended([job]) == [JobStatus.CANCELLED]
    assert farm.seen.ends == [job]
    assert farm.journal()["start x"] == 1
