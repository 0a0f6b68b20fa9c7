"""No room on the disk, on either side: what was paid for waits and arrives."""

from __future__ import annotations

import asyncio
import errno
import shutil

from bot.domain.job import JobStatus
from bot.storage.database import StorageFullError


async def test_result_waits_in_the_worker_while_its_outbox_cannot_be_written(farm):
    job = await farm.submit("label:x sleep:0.3")
    await farm.running(job)
    box = farm.kit.box(farm.root, "w1")
    shutil.rmtree(box)
    box.write_text("where the folder was")  # every write below it fails now, for root as well
    async with asyncio.timeout(60):
        while not farm.journal()["end x"]:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1.5)  # longer than a lease
    assert (await farm.job(job)).status is JobStatus.ASSIGNED
    box.unlink()
    assert await farm.ended([job]) == [JobStatus.DONE]
    await farm.check_delivered_once([job])
    assert farm.journal()["start x"] == 1


async def test_result_waits_in_the_outbox_while_the_bot_cannot_move_it(farm, monkeypatch):
    take, refused = farm.images.take, []

    async def full(*values: object) -> None:
        refused.append(values)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(farm.images, "take", full)
    job = await farm.submit("label:x")
    async with asyncio.timeout(60):
        while len(refused) < 12:  # for longer than a lease
            await asyncio.sleep(0.02)
    assert (await farm.job(job)).status is JobStatus.ASSIGNED
    monkeypatch.setattr(farm.images, "take", take)
    assert await farm.ended([job]) == [JobStatus.DONE]
    await farm.check_delivered_once([job])
    assert farm.journal()["start x"] == 1
    await farm.settled(["w1"])


async def test_result_waits_while_the_database_is_full(farm, monkeypatch):
    lose, done = farm.jobs.lose, farm.images.add_in
    refusals = []

    async def full(*values: object, **named: object) -> None:
        refusals.append(values)
        raise StorageFullError

    monkeypatch.setattr(farm.images, "add_in", full)
    monkeypatch.setattr(farm.jobs, "lose", full)
    job = await farm.submit("label:x")
    async with asyncio.timeout(60):
        while len(refusals) < 12:
            await asyncio.sleep(0.02)
    monkeypatch.setattr(farm.images, "add_in", done)
    monkeypatch.setattr(farm.jobs, "lose", lose)
    assert await farm.ended([job]) == [JobStatus.DONE]
    await farm.check_delivered_once([job])
    assert farm.journal()["start x"] == 1


async def test_picture_lost_between_worker_and_bot_is_drawn_again(farm):
    job = await farm.submit("label:x sleep:0.3")
    await farm.running(job)
    fetch, lost = farm.transport.fetch, []

    async def losing(done, output):
        path = await fetch(done, output)
        if not lost:
            lost.append(path)
            path.unlink()
        return path

    farm.transport.fetch = losing
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert farm.journal()["start x"] == 2
    await farm.check_delivered_once([job])
    await farm.settled(["w1"])


async def test_loss_that_cannot_be_stored_is_stored_later(farm, monkeypatch):
    job = await farm.submit("label:x sleep:0.5")
    await farm.running(job)
    lose, refusals = farm.jobs.lose, []

    async def full(*values: object, **named: object) -> None:
        refusals.append(values)
        raise StorageFullError

    monkeypatch.setattr(farm.jobs, "lose", full)
    farm.kit.signal(farm.transport, "w1", 9)
    async with asyncio.timeout(60):
        while len(refusals) < 2:
            await asyncio.sleep(0.02)
    monkeypatch.setattr(farm.jobs, "lose", lose)
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert (await farm.job(job)).crashes == 1
    await farm.check_delivered_once([job])
