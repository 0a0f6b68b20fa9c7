"""Plain work: everything done once, in good order, and failures told as what they are."""

from __future__ import annotations

import asyncio

from bot.domain.ids import UserId
from bot.domain.job import JobStatus


async def test_many_jobs_of_many_users_are_each_done_once(two):
    jobs = [await two.submit(user=number % 12, count=1 + number % 3) for number in range(40)]
    await two.ended(jobs)
    await two.check_delivered_once(jobs)
    assert len(two.seen.ends) == 40
    assert all(two.journal()[f"start {job}"] == 1 for job in jobs)
    await two.settled(("w1", "w2"))


async def test_progress_reaches_the_listener_and_the_end_comes_once(farm):
    job = await farm.submit("sleep:0.1")
    await farm.ended([job])
    steps = [p.step for p in farm.seen.progress if p.job == job]
    assert steps == sorted(steps)
    assert steps[-1] >= 1
    assert farm.seen.ends == [job]


async def test_same_interaction_twice_is_one_job(farm):
    first = await farm.submit("label:x", interaction=42)
    second = await farm.submit("label:x", interaction=42)
    assert first == second
    await farm.ended([first])
    assert farm.journal()["start x"] == 1


async def test_failure_carries_its_kind_and_detail_and_work_goes_on(farm):
    broken = await farm.submit("label:b fail:oom")
    fine = await farm.submit()
    assert await farm.ended([broken, fine]) == [JobStatus.FAILED, JobStatus.DONE]
    job = await farm.job(broken)
    assert (job.failure_kind, dict(job.failure_detail)) == ("oom", {"checkpoint": "b"})
    assert job.reference
    assert farm.journal()["start b"] == 1  # not worth another try


async def test_bug_and_unknown_failure_end_as_other_and_the_gpu_thread_survives(farm):
    jobs = [await farm.submit("bug"), await farm.submit("odd"), await farm.submit()]
    assert await farm.ended(jobs) == [JobStatus.FAILED, JobStatus.FAILED, JobStatus.DONE]
    assert [(await farm.job(job)).failure_kind for job in jobs[:2]] == ["other", "other"]


async def test_retryable_failure_is_tried_again(farm):
    job = await farm.submit("label:f flaky:2")
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert farm.journal()["start f"] == 3


async def test_failure_that_stays_is_told_with_its_own_kind_after_three_tries(farm):
    job = await farm.submit("label:f flaky:99")
    assert await farm.ended([job]) == [JobStatus.FAILED]
    assert (await farm.job(job)).failure_kind == "oom"
    assert farm.journal()["start f"] == 3


async def test_idle_worker_gets_work_before_anything_is_prefetched(two):
    jobs = [await two.submit("sleep:0.3"), await two.submit("sleep:0.3")]
    for job in jobs:
        await two.running(job)
    assert len({p.worker for p in two.seen.progress}) == 2


async def test_start_order_is_the_standing_order(farm):
    # Failures teach no times, so the costs stay what they were when the order was promised.
    blocker = await farm.submit("label:blocker sleep:0.6 fail:oom", user=1)
    await farm.running(blocker)
    labels = [f"user{user}job{n}" for n, user in enumerate((1, 1, 2, 1, 2, 3, 1, 4, 2, 2, 1))]
    jobs = {await farm.submit(f"label:{label} fail:oom", user=int(label[4])): label for label in labels}
    standings = await farm.dispatcher.standings()
    assert standings[blocker].position == 0
    assert sorted(standings[job].position for job in jobs) == list(range(1, len(jobs) + 1))
    promised = [jobs[job] for job in sorted(jobs, key=lambda job: standings[job].position)]
    await farm.ended([blocker, *jobs])
    assert farm.starts() == ["blocker", *promised]


async def test_eta_is_learnt_and_grows_along_the_line(farm):
    assert (await farm.dispatcher.standings()) == {}
    first = await farm.submit("sleep:0.2")
    await farm.running(first)
    assert (await farm.dispatcher.standings())[first].eta_s is None
    await farm.ended([first])
    jobs = [await farm.submit("sleep:0.2") for _ in range(6)]
    standings = await farm.dispatcher.standings()
    etas = [standing.eta_s for standing in sorted(standings.values(), key=lambda standing: standing.position)]
    assert all(eta is not None for eta in etas)
    assert etas == sorted(etas)
    await farm.ended(jobs)


async def test_queue_alternates_between_users(farm):
    blocker = await farm.submit("label:blocker sleep:0.4", user=99)
    await farm.running(blocker)
    heavy = [await farm.submit("label:heavy", user=1) for _ in range(30)]
    light = await farm.submit("label:light", user=2)
    await farm.ended([*heavy, light])
    assert farm.starts().index("light") <= 3


async def test_affinity_saves_loads(farm):
    blocker = await farm.submit("sleep:0.4", user=99)
    await farm.running(blocker)
    jobs = [
        await farm.submit(model=f"m{1 + (user + n) % 4}", user=user, steps=1) for n in range(4) for user in range(10)
    ]
    await farm.ended(jobs)
    loads = sum(count for line, count in farm.journal().items() if line.startswith("load "))
    assert loads <= 16  # one by one in order of arrival it is 41


async def test_stop_is_bounded_and_keeps_what_runs(farm):
    job = await farm.submit("sleep:30")
    await farm.running(job)
    async with asyncio.timeout(60):
        await farm.dispatcher.stop()
    assert (await farm.job(job)).status is JobStatus.ASSIGNED
    assert await farm.jobs.count_waiting_of(UserId(1)) == 1
