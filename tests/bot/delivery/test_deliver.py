"""From a finished job to its user: once, whatever breaks in between, and without holding up anybody else."""

import asyncio
import hashlib
import threading
from pathlib import Path

import aiohttp
import pytest

from bot.delivery.deliver import Deliverer
from bot.delivery.ladder import climb_down
from bot.delivery.post import Poster
from bot.delivery.progress import CardEditor
from bot.domain.ids import ChannelId, GuildId, JobId, UserId, new_image_id
from bot.domain.job import Action, Image, JobStatus, NewJob
from bot.storage.database import open_database
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from gpu_worker.protocol.specs import Txt2Img


class Office:
    """Everything behind delivery, real; jobs come in finished."""

    def __init__(self, client, database, folder, playground, channel):
        self.folder, self.database = folder, database
        self.jobs, self.images = Jobs(database), Images(database, folder)
        self.poster = Poster(client)
        editor = CardEditor(jobs=self.jobs, poster=self.poster)
        self.deliverer = Deliverer(client=client, jobs=self.jobs, images=self.images, poster=self.poster, editor=editor)
        self._owner = UserId(playground.world.people["Member"])
        self._guild, self._channel = GuildId(playground.world.guild_id), ChannelId(channel)
        self._count = 0

    async def finished(self, *files, status=JobStatus.DONE):
        """A job that has just been drawn as these files."""
        self._count += 1
        job_id = JobId(f"job{self._count}")
        spec = Txt2Img(prompt=f"picture {self._count}", checkpoint="m", width=64, height=64, seed=1, count=4)
        await self.jobs.add(NewJob(job_id, Action.IMAGINE, self._owner, self._channel, spec, guild_id=self._guild))
        await self.jobs.transition(job_id, [JobStatus.QUEUED], status)
        images = [self._stored(job_id, index, data) for index, data in enumerate(files)]
        async with self.database.write() as tx:
            await self.images.add_in(tx, images)
        return job_id

    def _stored(self, job_id, index, data):
        path = f"{job_id}-{index}.png"
        (self.folder / path).write_bytes(data)
        return Image(
            new_image_id(), job_id, index, path, hashlib.sha256(data).hexdigest(), "image/png", 64, 64, len(data),
            1 + index, "a cat", Action.IMAGINE,
        )  # fmt: skip

    async def settled(self, *job_ids):
        for _ in range(1000):
            states = [(await self.jobs.get(job_id)) for job_id in job_ids]
            if all(job.told_at is not None for job in states):
                return [job.status for job in states]
            await asyncio.sleep(0.02)
        raise AssertionError([job.status for job in states])


@pytest.fixture
async def office(client, playground, channel_id, tmp_path):
    (tmp_path / "outputs").mkdir()
    database = await open_database(tmp_path / "pincel.sqlite")
    made = Office(client, database, tmp_path / "outputs", playground, channel_id("general"))
    yield made
    await made.deliverer.stop()
    await database.close()


async def test_what_an_earlier_life_left_is_delivered_once(office, messages, channel_id, make_png):
    png = make_png(16)
    ids = [await office.finished(png, status=status) for status in (JobStatus.DONE, JobStatus.DELIVERING)]
    failed = await office.finished(status=JobStatus.FAILED)
    await office.deliverer.start()
    for job_id in ids * 3:
        office.deliverer.ended(job_id)
    assert await office.settled(*ids, failed) == [JobStatus.DELIVERED, JobStatus.DELIVERED, JobStatus.FAILED]
    await asyncio.sleep(0.1)
    assert len(messages(channel_id("general"))) == 3


async def test_trouble_that_passes_is_waited_for(office, monkeypatch, messages, channel_id, make_png):
    monkeypatch.setattr("bot.delivery.deliver.RETRY_S", (0.01, 0.02))
    post, tries = office.poster.post, []

    async def shaky(*args, **kwargs):
        tries.append(args)
        if len(tries) < 5:  # more often than there are different waits
            raise aiohttp.ServerDisconnectedError
        return await post(*args, **kwargs)

    monkeypatch.setattr(office.poster, "post", shaky)
    await office.deliverer.start()
    job_id = await office.finished(make_png(16))
    office.deliverer.ended(job_id)
    assert await office.settled(job_id) == [JobStatus.DELIVERED]
    assert len(messages(channel_id("general"))) == 1


async def test_a_vanished_file_does_not_hold_up_the_others(office, messages, channel_id, make_png):
    await office.deliverer.start()
    job_id = await office.finished(make_png(16), make_png(16), make_png(16))
    (office.folder / f"{job_id}-1.png").unlink()
    office.deliverer.ended(job_id)
    await office.settled(job_id)
    assert len(messages(channel_id("general"))[0].attachments) == 2


async def test_what_its_author_has_deleted_is_not_posted(office, messages, channel_id, make_png):
    job_id = await office.finished(make_png(16))
    await office.images.delete_of_job(job_id)
    await office.deliverer.start()
    assert await office.settled(job_id) == [JobStatus.DELIVERED]
    assert messages(channel_id("general")) == []


async def test_a_quick_result_waits_for_its_first_answer(office, make_png):
    await office.deliverer.start()
    job_id = await office.finished(make_png(16))
    office.deliverer.answering(job_id, None)
    office.deliverer.ended(job_id)
    await asyncio.sleep(0.2)
    assert (await office.jobs.get(job_id)).status is JobStatus.DONE
    office.deliverer.answered(job_id)
    assert await office.settled(job_id) == [JobStatus.DELIVERED]


async def test_the_loop_stays_free_while_large_pictures_go_out(office, make_png, monkeypatch):
    """Reading and converting happen elsewhere."""
    where: dict[str, set[bool]] = {"read": set(), "convert": set()}
    read_bytes = Path.read_bytes

    def here() -> bool:
        return threading.current_thread() is threading.main_thread()

    def reading(path):
        if path.suffix == ".png":
            where["read"].add(here())
        return read_bytes(path)

    def converting(*given):
        where["convert"].add(here())
        return climb_down(*given)

    monkeypatch.setattr(Path, "read_bytes", reading)
    monkeypatch.setattr("bot.delivery.finished.climb_down", converting)
    await office.deliverer.start()
    job_id = await office.finished(make_png(400))
    office.deliverer.answering(job_id, 100_000)
    office.deliverer.answered(job_id)
    office.deliverer.ended(job_id)
    assert await office.settled(job_id) == [JobStatus.DELIVERED]
    assert where == {"read": {False}, "convert": {False}}


async def test_who_misses_a_card_waits_for_the_answers_under_way(office):
    await office.deliverer.answers_over()
    office.deliverer.answering(JobId("one"), None)
    office.deliverer.answering(JobId("two"), None)
    waiting = asyncio.create_task(office.deliverer.answers_over())
    office.deliverer.answered(JobId("one"))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    office.deliverer.answering(JobId("three"), None)  # begun later: not waited for
    office.deliverer.answered(JobId("two"))
    await asyncio.wait_for(waiting, 60)
