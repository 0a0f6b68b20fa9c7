"""kill -9 of the bot: nothing lost, nothing doubled, and what its workers finished meanwhile is taken over."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.domain.job import JobStatus
from bot.storage.database import open_database
from bot.storage.jobs import Jobs
from tests.contract.farm import Farm, new_job, open_farm
from tests.contract.kits import CHECKOUT, KITS

BOT = CHECKOUT / "tests" / "contract" / "stub_bot.py"


@pytest.fixture
def kit_name(kit) -> str:
    return next(name for name, known in KITS.items() if known is kit)


@contextlib.asynccontextmanager
async def bot_process(root: Path, kit_name: str, *workers: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, str(BOT), str(root), kit_name, *workers)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def fill(root: Path, *words: str) -> list[str]:
    """Jobs that a bot had accepted before it died."""
    database = await open_database(root / "pincel.sqlite")
    try:
        jobs = Jobs(database)
        return [(await jobs.add(new_job(text, user=n % 4)))[0] for n, text in enumerate(words)]
    finally:
        await database.close()


async def started(root: Path, label: str) -> None:
    async with asyncio.timeout(60):
        while not (root / "journal").exists() or f"start {label}\n" not in (root / "journal").read_text():
            await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_random_kills_of_the_bot_lose_nothing_and_double_nothing(tmp_path, kit, kit_name, seed):
    chance = random.Random(seed)
    jobs = await fill(tmp_path, *(["sleep:0.05"] * 30))
    kills = 0
    while True:
        async with bot_process(tmp_path, kit_name, "w1", "w2") as bot:
            try:
                # The first kills come while it still starts, later ones in the middle of the work.
                await asyncio.wait_for(bot.wait(), chance.uniform(0.3, 2.0) if kills < 4 else 40)
            except TimeoutError:
                kills += 1
                continue
            assert bot.returncode == 0
            break
    async with open_farm(tmp_path, kit, start=False) as farm:
        assert {(await farm.job(job)).status for job in jobs} == {JobStatus.DELIVERED}
        for job in jobs:
            assert len(await farm.images.of_job(job)) == 1
        delivered = collections.Counter((tmp_path / "delivered").read_text().split())
        # The file stands for Discord, where a nonce makes the one repetition harmless that a kill between the post and
        # its note can cause.
        assert sum(delivered.values()) <= len(jobs) + kills
        assert set(delivered) == set(jobs)
        finished = farm.journal()
        assert all(finished[f"end {job}"] == 1 for job in jobs), "a finished picture was drawn again"
        # A worker that lives on may repeat an end whose receipt died with a bot; the next one drops it.
        left = [path for path in (tmp_path / "outbox").rglob("*") if path.suffix in (".fin", ".png")]
        assert not left or kit.outlives_bots


async def test_picture_finished_while_no_bot_lives_is_adopted(tmp_path, kit, kit_name):
    (job,) = await fill(tmp_path, "label:x sleep:0.5")
    async with bot_process(tmp_path, kit_name, "w1"):
        await started(tmp_path, "x")
    async with open_farm(tmp_path, kit) as farm:  # at once: the new worker has to wait for the old one's picture
        assert await farm.ended([job]) == [JobStatus.DONE]
        await farm.check_delivered_once([job])
        assert farm.journal()["start x"] == 1
        assert (await farm.job(job)).attempt == 1
        more = await farm.submit()
        await farm.ended([more])


async def test_result_that_lies_in_the_outbox_is_settled_before_any_worker_starts(tmp_path, kit, kit_name):
    (job,) = await fill(tmp_path, "label:x sleep:0.2")
    async with bot_process(tmp_path, kit_name, "w1"):
        await started(tmp_path, "x")
    async with asyncio.timeout(60):
        while not any(kit.box(tmp_path, "w1").glob("*.fin")):
            await asyncio.sleep(0.02)
    async with open_farm(tmp_path, kit, "other") as farm:  # that worker is not even configured any more
        if kit.outlives_bots:
            await farm.ended([job])  # it may still be between its worker's disk and the mailbox
        assert (await farm.job(job)).status is JobStatus.DONE
        await farm.check_delivered_once([job])
        await farm.settled(["w1"])


async def test_job_prefetched_by_a_lost_worker_goes_back_without_blame(tmp_path, kit, kit_name):
    jobs = await fill(tmp_path, "label:x sleep:0.5", "label:y")
    async with bot_process(tmp_path, kit_name, "w1"):
        await started(tmp_path, "x")
        await asyncio.sleep(0.1)
    async with open_farm(tmp_path, kit) as farm:
        await farm.ended(jobs)
        await farm.check_delivered_once(jobs)
        assert (farm.journal()["start x"], farm.journal()["start y"]) == (1, 1)
        assert (await farm.job(jobs[1])).crashes == 0


async def test_cancel_asked_before_the_death_is_carried_out_after_it(tmp_path, kit, kit_name):
    (job,) = await fill(tmp_path, "label:x block:1")
    async with bot_process(tmp_path, kit_name, "w1"):
        await started(tmp_path, "x")
    async with open_farm(tmp_path, kit, start=False) as farm:
        assert await farm.jobs.ask_cancel(job, 1) is JobStatus.ASSIGNED
    async with open_farm(tmp_path, kit, "w2") as farm:
        assert await _ends(farm, job) in (JobStatus.CANCELLED, JobStatus.DONE)


async def test_cancel_while_nobody_is_there_to_confirm_it_is_immediate(tmp_path, kit, kit_name):
    (job,) = await fill(tmp_path, "label:x block:2")
    async with bot_process(tmp_path, kit_name, "w1"):
        await started(tmp_path, "x")
    async with open_farm(tmp_path, kit) as farm:
        if await farm.dispatcher.cancel(job, 1) is not JobStatus.CANCELLED:
            assert kit.outlives_bots, "nobody is there"
            await farm.ended([job])
        assert farm.seen.ends == [job]
        await asyncio.sleep(0)
        after = await farm.submit("label:after")
        await farm.ended([after])
        assert (await farm.job(job)).status is JobStatus.CANCELLED
        assert await farm.images.of_job(job) == []
        await farm.settled(["w1"])


async def _ends(farm: Farm, job: str) -> JobStatus:
    return (await farm.ended([job]))[0]
