"""Pictures that somebody pointed at: kept a week, changed by number, and unreadable rows hide nothing."""

import time

from bot.domain.ids import ImageId, JobId, UserId
from bot.storage.finds import KEPT_S, Finds, FoundPicture

PICTURES = (FoundPicture(image_id=ImageId("abc")), FoundPicture(url="https://x/y.png", filename="y.png", size=5))


async def test_a_find_is_there_until_it_is_a_week_old(database):
    finds = Finds(database)
    find = await finds.add(UserId(7), PICTURES)
    assert await finds.get(find.id) == find
    await database.write_one("UPDATE finds SET created_at = ?", (time.time() - KEPT_S - 1,))
    assert await finds.get(find.id) is None
    await finds.add(UserId(8), PICTURES)
    assert [row["user_id"] for row in await database.all("SELECT user_id FROM finds")] == [8]


async def test_one_picture_of_it_changes(database):
    finds = Finds(database)
    find = await finds.add(UserId(7), PICTURES)
    read = PICTURES[1].model_copy(update={"infotext": "a cat"})
    changed = await finds.change(find, 1, read)
    assert changed.pictures == (PICTURES[0], read)
    assert await finds.get(find.id) == changed


async def test_a_row_of_another_version_counts_as_gone(database):
    finds = Finds(database)
    find = await finds.add(UserId(7), PICTURES)
    await database.write_one("UPDATE finds SET content = '{}'", ())
    assert await finds.get(find.id) is None
    assert await finds.get(JobId("nothing")) is None
