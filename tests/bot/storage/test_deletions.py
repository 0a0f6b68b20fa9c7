"""Deleted pictures: hidden at once, back within their time, and what only they needed stays until it is over."""

from __future__ import annotations

import pytest

from bot.domain.ids import ImageId, UserId
from bot.domain.job import Action, Image
from bot.storage.deletions import Deletions
from bot.storage.images import Images
from bot.storage.inputs import InputPictures
from tests.contract.farm import new_job

ANA, BEN = UserId(1), UserId(2)


@pytest.fixture
def images(database, tmp_path):
    return Images(database, tmp_path / "outputs")


async def draw(database, jobs, images, count=2) -> list[Image]:
    job_id, _ = await jobs.add(new_job("x", count=count))
    made = [
        Image(
            ImageId(f"{job_id[:10]}{n}"), job_id, n, f"day/{job_id}{n}.png", "0" * 64, "image/png", 8, 8, 1, n, "t",
            Action.IMAGINE,
        )
        for n in range(count)
    ]  # fmt: skip
    async with database.write() as tx:
        await images.add_in(tx, made)
    for image in made:
        images.file(image).parent.mkdir(parents=True, exist_ok=True)
        images.file(image).write_bytes(b"x")
    return made


async def hidden(images, made) -> list[bool]:
    return [(await images.get(image.id)).deleted for image in made]


async def test_hidden_and_back(database, jobs, images):
    made = await draw(database, jobs, images)
    deletions = Deletions(database)
    deletion = await deletions.begin(ANA, [made[0].id, made[0].id, ImageId("nowhere")])
    assert deletion.images == (made[0].id,)
    assert await hidden(images, made) == [True, False]
    again = await deletions.begin(ANA, [made[0].id, made[1].id])
    assert again.images == (made[1].id,)
    assert await deletions.undo(deletion.id, BEN) is None
    assert await deletions.undo(deletion.id, ANA) == [made[0].id]
    assert await deletions.undo(deletion.id, ANA) is None
    assert await hidden(images, made) == [False, True]
    assert await deletions.due() == []


async def test_what_is_due_does_not_come_back(database, jobs, images):
    made = await draw(database, jobs, images)
    other = await draw(database, jobs, images)
    deletions = Deletions(database)
    waiting = await deletions.begin(ANA, [other[0].id])
    over = await deletions.begin(ANA, [made[0].id, made[1].id, other[1].id], undo_s=-1)
    assert await deletions.next_due_at() == over.due_at
    assert await deletions.undo(over.id, ANA) is None
    (found,) = await deletions.due()
    assert set(found.images) == set(over.images)
    jobs_of = dict(await deletions.jobs_of(over.images))
    assert jobs_of == {made[0].job_id: True, other[0].job_id: False}
    await deletions.finished(over.id)
    assert await deletions.due() == []
    assert await deletions.undo(waiting.id, ANA) == [other[0].id]


async def test_inputs_stay_while_a_picture_may_come_back(database, jobs, images, tmp_path):
    inputs = InputPictures(database, tmp_path / "inputs")
    ref = await inputs.keep(b"a picture", "image/png")
    made = await draw(database, jobs, images)
    async with database.write() as tx:
        await tx.execute("UPDATE jobs SET spec = json_set(spec, '$.note', ?)", (ref.ref,))
    deletions = Deletions(database)
    one = await deletions.begin(ANA, [made[0].id], undo_s=-1)
    await deletions.finished(one.id)
    assert await inputs.sweep() == 0
    rest = await deletions.begin(ANA, [made[1].id])
    assert await inputs.sweep() == 0
    await deletions.finished(rest.id)
    assert await inputs.sweep() == 1


async def test_whoever_listens_hears_of_deleted_pictures(database, jobs, images):
    made = await draw(database, jobs, images)
    heard = []
    images.subscribe_deleted(lambda gone: heard.extend(image.id for image in gone))
    await images.delete(made[:1])
    assert heard == [made[0].id]
    assert [images.file(image).exists() for image in made] == [False, True]
    await images.delete_of_job(made[0].job_id)
    assert heard == [made[0].id, made[0].id, made[1].id]
