"""What may go: old files, or the oldest where room is short; never favourites, nor what nobody has seen."""

from __future__ import annotations

import dataclasses

import pytest

from bot.domain.ids import GuildId, ImageId, UserId
from bot.domain.job import Action, Image, Lane
from bot.storage.favourites import Favourites
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.retention import Retention
from tests.contract.farm import new_job

ANA = UserId(1)


@pytest.fixture
async def draw(database, jobs, tmp_path):
    images = Images(database, tmp_path / "outputs")

    async def make(name, age_days, *, guild=None, status="delivered"):
        job_id, _ = await jobs.add(dataclasses.replace(new_job("x"), guild_id=guild))
        image = Image(
            ImageId(name), job_id, 0, f"d/{name}.png", "0" * 64, "image/png", 8, 8, 10, 1, "t", Action.IMAGINE
        )
        async with database.write() as tx:
            await images.add_in(tx, [image])
            await tx.execute("UPDATE jobs SET status = ? WHERE id = ?", (status, job_id))
            await tx.execute("UPDATE images SET created_at = created_at - ? WHERE id = ?", (age_days * 86400, name))
            await tx.execute("UPDATE jobs SET created_at = created_at - ? WHERE id = ?", (age_days * 86400, job_id))

    return make


async def names(found):
    return [one.id for one in await found]


async def test_age(database, draw):
    retention = Retention(database)
    for name, age in (("new", 1), ("old", 40), ("older", 50), ("loved", 60)):
        await draw(name, age)
    await draw("unseen", 60, status="delivering")
    await draw("stranded", 60)
    async with database.write() as tx:
        await tx.execute("UPDATE jobs SET stranded_at = 1 WHERE id = (SELECT job_id FROM images WHERE id = 'stranded')")
    await Favourites(database).add(UserId(9), [ImageId("loved")])
    assert await names(retention.too_old(None, 9)) == []
    assert await names(retention.too_old(30, 9)) == ["older", "old"]
    assert await names(retention.too_old(30, 1)) == ["older"]
    assert await names(retention.oldest(2)) == ["older", "old"]
    await retention.pruned(await retention.too_old(30, 1))
    assert await names(retention.too_old(30, 9)) == ["old"]
    assert await retention.total_bytes() == 50


async def test_a_cell_stays_until_its_grid_is_put_together(database, draw):
    await draw("cell", 50)
    new = dataclasses.replace(new_job("x"), lane=Lane.SCRIPT)
    await Jobs(database).add(new)
    async with database.write() as tx:
        await tx.execute("UPDATE jobs SET script_id = ?, place = 0 WHERE id != ?", (new.id, new.id))
    retention = Retention(database)
    assert await names(retention.too_old(30, 9)) == []
    assert await names(retention.oldest(9)) == []
    async with database.write() as tx:
        await tx.execute("UPDATE jobs SET status = 'delivered' WHERE id = ?", (new.id,))
    assert await names(retention.too_old(30, 9)) == ["cell"]


async def test_a_server_can_only_shorten_it(database, draw):
    retention, here, there = Retention(database), GuildId(5), GuildId(6)
    for name, age, guild in (("a", 10, here), ("b", 10, there), ("c", 10, None), ("d", 100, here)):
        await draw(name, age, guild=guild)
    await retention.set_days(here, 7, ANA)
    await retention.set_days(there, 500, ANA)
    assert await names(retention.too_old(None, 9)) == ["d", "a"]
    assert await names(retention.too_old(50, 9)) == ["d"], "the servers' own come after"
    assert set(await names(retention.too_old(9, 9))) == {"a", "b", "c", "d"}
    await retention.set_days(here, None, ANA)
    assert await retention.days_of(here) is None
    assert await names(retention.too_old(None, 9)) == []
