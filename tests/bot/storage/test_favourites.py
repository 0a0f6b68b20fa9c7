"""Favourites: each person's own, told to whoever listens, and only of pictures that are there."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.ids import ImageId, UserId
from bot.domain.job import Action, Image
from bot.storage.favourites import Favourites
from bot.storage.images import Images
from tests.contract.farm import new_job

ANA, BEN = UserId(1), UserId(2)


@pytest.fixture
async def pictures(database, jobs, tmp_path) -> list[ImageId]:
    job_id, _ = await jobs.add(new_job("x"))
    made = [
        Image(ImageId(f"picture{n}"), job_id, n, f"day/{n}.png", "0" * 64, "image/png", 8, 8, 1, n, "t", Action.IMAGINE)
        for n in range(3)
    ]
    async with database.write() as tx:
        await Images(database, tmp_path).add_in(tx, made)
    return [image.id for image in made]


async def test_each_person_has_their_own(database, pictures):
    favourites = Favourites(database)
    assert await favourites.add(ANA, pictures[:2]) == set(pictures[:2])
    assert await favourites.add(ANA, pictures) == {pictures[2]}
    assert await favourites.add(BEN, pictures[:1]) == {pictures[0]}
    assert await favourites.keepers(pictures[0]) == {ANA, BEN}
    assert await favourites.kept([*pictures, ImageId("nowhere")]) == set(pictures)
    assert await favourites.among(BEN, pictures) == {pictures[0]}
    assert await favourites.remove(ANA, pictures[:1]) == {pictures[0]}
    assert await favourites.remove(ANA, pictures[:1]) == frozenset()
    assert (await favourites.count(ANA), await favourites.count(BEN)) == (2, 1)


async def test_toggle_says_what_it_is_now(database, pictures):
    favourites = Favourites(database)
    assert await favourites.toggle(ANA, pictures[0])
    assert not await favourites.toggle(ANA, pictures[0])
    assert not await favourites.toggle(ANA, ImageId("nowhere"))
    await asyncio.gather(*(favourites.toggle(ANA, pictures[1]) for _ in range(4)))
    assert await favourites.count(ANA) in (0, 1)


async def test_deleted_and_unknown_pictures_are_left_out(database, pictures):
    favourites = Favourites(database)
    async with database.write() as tx:
        await tx.execute("UPDATE images SET deleted_at = 1 WHERE id = ?", (pictures[0],))
    assert await favourites.add(ANA, [pictures[0], pictures[1], ImageId("nowhere")]) == {pictures[1]}


async def test_listeners_hear_of_changes_alone(database, pictures):
    heard: list[set[ImageId]] = []
    favourites = Favourites(database)
    favourites.subscribe(lambda images: heard.append(set(images)))
    await favourites.add(ANA, pictures[:2])
    await favourites.add(ANA, pictures[:2])
    await favourites.remove(ANA, pictures[1:])
    assert heard == [set(pictures[:2]), {pictures[1]}]
