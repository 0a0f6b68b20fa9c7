"""Finished parts of a job outlive its worker and the bot: what was made is not made again, and goes with its job."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.job import JobStatus
from bot.storage.kept_parts import KeptParts
from tests.contract.farm import LEASES, open_farm
from tests.contract.kits import KILL
from tests.contract.test_bot_deaths import bot_process, fill, started


def made(farm, label):
    journal = farm.journal()
    return {line.rpartition(" ")[2]: n for line, n in journal.items() if line.startswith(f"part {label} ")}


async def kept(farm) -> list[int]:
    return [int(row["n"]) for row in await farm.database.all("SELECT n FROM partials ORDER BY n", ())]


def files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "parts").rglob("*") if path.is_file())


async def nothing_left(farm) -> None:
    async with asyncio.timeout(60):
        while await kept(farm) or files(farm.root):
            await asyncio.sleep(0.02)


async def test_a_dead_workers_parts_are_not_made_again(farm):
    job = await farm.submit("label:x parts:6 slow:0.1")
    async with asyncio.timeout(60):
        while len(await kept(farm)) < 3:
            await asyncio.sleep(0.01)
    assert farm.kit.signal(farm.transport, "w1", KILL)
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert farm.journal()["start x"] == 2
    # The part in work when it was killed may have been written and not taken; each other is made once.
    assert set(made(farm, "x")) == set("012345")
    assert sum(made(farm, "x").values()) <= 7
    assert (await farm.job(job)).crashes == 0
    await farm.check_delivered_once([job])
    await nothing_left(farm)


async def test_a_job_that_gets_further_each_time_is_done_after_more_crashes_than_three(farm):
    job = await farm.submit("label:x parts:6 dies:1,2,3,4,5")
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert farm.journal()["start x"] == 6
    assert made(farm, "x") == dict.fromkeys("012345", 1), "kept the moment before its worker died"
    assert (await farm.job(job)).crashes == 0


async def test_what_gets_further_in_its_hour_goes_on_in_the_next(tmp_path, kit):
    leases = replace(LEASES, max_run_s=0.5)
    async with open_farm(tmp_path, kit, leases=leases) as farm:
        await farm.workers_ready()
        job = await farm.submit("label:x parts:6 slow:0.2")
        assert await farm.ended([job]) == [JobStatus.DONE]
        assert farm.journal()["start x"] > 1
        assert made(farm, "x") == dict.fromkeys("012345", 1)
        stuck = await farm.submit("label:y sleep:30")
        assert await farm.ended([stuck]) == [JobStatus.FAILED]
        assert farm.journal()["start y"] == 1


async def test_what_went_on_from_parts_teaches_no_pace(farm):
    job = await farm.submit("label:x parts:6 dies:1,2")
    assert await farm.ended([job]) == [JobStatus.DONE]
    await nothing_left(farm)
    assert await farm.database.all("SELECT * FROM timings", ()) == []
    whole = await farm.submit("label:y parts:2")
    assert await farm.ended([whole]) == [JobStatus.DONE]
    await nothing_left(farm)
    assert len(await farm.database.all("SELECT * FROM timings", ())) == 1


async def test_what_earlier_attempts_drew_counts(farm, tmp_path):
    job = await farm.submit("label:x sleep:20")
    await farm.running(job)
    parts = KeptParts(farm.database, tmp_path / "more")
    assert await parts.earlier_s(job, 3) is None
    for n, (attempt, at) in enumerate([(1, 100.0), (1, 110.0), (1, 120.0), (2, 500.0), (3, 900.0), (3, 990.0)]):
        await farm.database.write_one("INSERT INTO partials VALUES (?, ?, ?, '[]', ?)", (job, n, attempt, at))
    assert await parts.earlier_s(job, 3) == 30
    assert await parts.earlier_s(job, 1) is None
    await farm.dispatcher.cancel(job, 1)


async def test_a_part_that_kills_its_worker_fails_the_job(farm):
    """It gets nowhere: three starts, as any poison."""
    job = await farm.submit("label:x parts:2 poison")
    assert await farm.ended([job]) == [JobStatus.FAILED]
    assert farm.journal()["start x"] == 3


async def test_a_damaged_part_is_made_again(farm):
    job = await farm.submit("label:x parts:4 dies:1,2")
    async with asyncio.timeout(60):
        while not files(farm.root):
            await asyncio.sleep(0.005)
    next((farm.root / "parts").rglob("0")).write_bytes(b"part 0 of y")
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert set(made(farm, "x")) == set("0123")
    await farm.check_delivered_once([job])


async def test_parts_outlive_the_bot(tmp_path, kit, request):
    name = request.node.callspec.params["kit"]
    (job,) = await fill(tmp_path, "label:x parts:8 slow:0.3")
    async with bot_process(tmp_path, name, "w1") as bot:
        await started(tmp_path, "x")
        async with asyncio.timeout(60):
            while "part x 3" not in (tmp_path / "journal").read_text():
                await asyncio.sleep(0.02)
        bot.kill()
        await bot.wait()
    # The worker goes on for its grace and leaves what it makes in the outbox; then it is killed, too.
    async with open_farm(tmp_path, kit) as farm:
        assert await farm.ended([job]) == [JobStatus.DONE]
        assert made(farm, "x") == dict.fromkeys("01234567", 1)
        await farm.check_delivered_once([job])
        await nothing_left(farm)


async def test_what_a_dead_bot_could_not_forget_goes_at_the_next_start(tmp_path, kit):
    async with open_farm(tmp_path, kit) as farm:
        job = await farm.submit("label:x parts:2 slow:0.2")
        await farm.running(job)
    (tmp_path / "parts" / "long-gone").mkdir(parents=True)
    (tmp_path / "parts" / "long-gone" / "0").write_bytes(b"x")
    async with open_farm(tmp_path, kit, start=False) as farm:
        await KeptParts(farm.database, tmp_path / "parts").sweep()
        assert not (tmp_path / "parts" / "long-gone").exists()


@pytest.mark.parametrize("why", ["cancelled", "late"])
async def test_no_part_is_kept_of_what_is_over(farm, tmp_path, why):
    job = await farm.submit("label:x sleep:20")
    await farm.running(job)
    parts = KeptParts(farm.database, tmp_path / "more")
    source = tmp_path / "part"
    source.write_bytes(b"x")
    if why == "cancelled":
        await farm.dispatcher.cancel(job, 1)
        await farm.ended([job])
    told = (source, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "image/png", 1)
    attempt = 1 if why == "cancelled" else 0
    assert not await parts.keep(job, attempt, 0, None, told)
    assert await kept(farm) == []


async def test_parts_are_bounded(farm, tmp_path, monkeypatch):
    monkeypatch.setattr("bot.storage.kept_parts.JOB_BYTES_MAX", 1)
    job = await farm.submit("label:x sleep:20")
    await farm.running(job)
    parts = KeptParts(farm.database, tmp_path / "more")
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    for n in (0, 1):
        source = tmp_path / "part"
        source.write_bytes(b"x")
        assert await parts.keep(job, 1, n, None, (source, sha256, "image/png", 1)) is (n == 0)
    assert [part.n for part in await parts.of_job(job)] == [0]
    await parts.forget(job)
    assert await kept(farm) == []
    await farm.dispatcher.cancel(job, 1)
