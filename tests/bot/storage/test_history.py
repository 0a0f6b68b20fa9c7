"""Finding somebody's pictures: words, filters, pages, kin, and never anybody else's."""

from __future__ import annotations

import dataclasses

import pytest

from bot.domain.history import Desk, Wanted
from bot.domain.ids import ChannelId, GuildId, ImageId, MessageId, UserId
from bot.domain.job import Action, Image
from bot.storage.favourites import Favourites
from bot.storage.history import Desks, History, Span
from bot.storage.history_search import HistorySearch
from bot.storage.images import Images
from tests.contract.farm import new_job

ANA, BEN = UserId(1), UserId(2)
GUILD, OPEN, HIDDEN = GuildId(50), ChannelId(51), ChannelId(52)


class Rig:
    def __init__(self, database, jobs, tmp_path, search):
        self.database, self.jobs, self.search = database, jobs, search
        self.images = Images(database, tmp_path)
        self.history = History(database, search)
        self.made = 0

    async def draw(self, prompt, *, user=ANA, count=1, model="m1", parent=None, channel=OPEN, age_days=0.0):
        new = new_job(f"label:x {prompt}", user=user, model=model, count=count)
        job_id, _ = await self.jobs.add(dataclasses.replace(new, guild_id=GUILD, channel_id=channel))
        await self.jobs.set_message(job_id, MessageId(1000 + self.made))
        made = []
        for index in range(count):
            self.made += 1
            made.append(
                Image(
                    ImageId(f"picture{self.made}"), job_id, index, f"day/{self.made}.png", "0" * 64, "image/png", 8, 8,
                    10, self.made, "t", Action.IMAGINE, parent,
                )
            )  # fmt: skip
        async with self.database.write() as tx:
            await self.images.add_in(tx, made)
            await tx.execute("UPDATE jobs SET created_at = created_at - ? WHERE id = ?", (age_days * 86400, job_id))
        return made

    async def found(self, user=ANA, **wanted) -> list[int]:
        span = Span(user, user)
        shots = await self.history.page(span, Wanted(**wanted), 0, 100)
        assert len(shots) == await self.history.count(span, Wanted(**wanted))
        return [shot.seed for shot in shots]


@pytest.fixture(params=["index", "plain"])
async def rig(request, database, jobs, tmp_path):
    search = HistorySearch(database)
    if request.param == "index":
        await search.prepare()
        assert search._indexed
    return Rig(database, jobs, tmp_path, search)


async def test_newest_first_and_in_the_order_of_the_card(rig):
    await rig.draw("old", age_days=3)
    await rig.draw("four", count=4)
    await rig.draw("somebody else's", user=BEN)
    assert await rig.found() == [2, 3, 4, 5, 1]
    span = Span(ANA, ANA)
    assert [s.seed for s in await rig.history.page(span, Wanted(), 3, 9)] == [5, 1]
    (middle,) = await rig.history.these(span, [ImageId("picture5")])
    assert await rig.history.neighbours(span, Wanted(), middle) == ("picture4", "picture1")
    (last,) = await rig.history.these(span, [ImageId("picture1"), ImageId("picture6")])
    assert await rig.history.neighbours(span, Wanted(), last) == ("picture5", None)


async def test_words(rig):
    await rig.draw("a red fox in the snow, masterpiece <lora:Ink_wash:0.8>", age_days=3)
    await rig.draw("a red apple, snowfall", age_days=2)
    await rig.draw("Füchsin 100% 富士山の夜", age_days=1)
    await rig.draw("red fox", user=BEN)
    assert await rig.found(search="red") == [2, 1]
    assert await rig.found(search="RED snow") == [2, 1]
    assert await rig.found(search="red fox") == [1]
    assert await rig.found(search='"red fox"') == [1]
    assert await rig.found(search='"fox red"') == []
    assert await rig.found(search="100%") == [3]
    assert await rig.found(search="士山") == [3]
    assert await rig.found(search="<lora:") == [1]
    assert await rig.found(lora="Ink_wash") == [1]
    assert await rig.found(lora="InkXwash") == []
    assert await rig.found(search="'; DROP TABLE jobs; --\" OR NEAR(", model="m1") == []
    assert await rig.found(search="", lora="%") == []


async def test_other_filters(rig):
    await rig.draw("a", model="Dreamy v5", age_days=10)
    (kept,) = await rig.draw("b", model="photo", age_days=5)
    await rig.draw("c", model="photo")
    await Favourites(rig.database).add(ANA, [kept.id])
    await Favourites(rig.database).add(BEN, [ImageId("picture3")])
    assert await rig.found(model="dreamy") == [1]
    assert await rig.found(favourites=True) == [2]
    row = await rig.database.one("SELECT max(created_at) AS now FROM jobs")
    now = row["now"]
    assert await rig.found(since=now - 6 * 86400) == [3, 2]
    assert await rig.found(since=now - 6 * 86400, until=now - 86400) == [2]
    assert await rig.found(since=now - 6 * 86400, model="photo", favourites=True) == [2]
    assert await rig.found(stranded=True) == []


async def test_deleted_ones_are_not_there(rig):
    one, two = await rig.draw("x", count=2)
    (other,) = await rig.draw("y")
    async with rig.database.write() as tx:
        await tx.execute("UPDATE images SET deleted_at = 1 WHERE id = ?", (one.id,))
    await rig.jobs.set_deleted(other.job_id)
    assert await rig.found() == [2]
    assert await rig.history.get(Span(ANA, ANA), one.id) is None
    assert (await rig.history.get(Span(ANA, ANA), two.id)).id == two.id
    assert await rig.history.get(Span(BEN, BEN), two.id) is None


async def test_an_admin_sees_what_was_public_there(rig):
    await rig.draw("open")
    await rig.draw("hidden", channel=HIDDEN)
    (secret,) = await rig.draw("private")
    async with rig.database.write() as tx:
        await tx.execute("UPDATE jobs SET private = 1 WHERE id = ?", (secret.job_id,))
    span = Span(BEN, ANA, GUILD, frozenset({OPEN}))
    assert [s.prompt for s in await rig.history.page(span, Wanted(), 0, 9)] == ["label:x open"]
    assert await rig.history.count(Span(BEN, ANA, GuildId(51), frozenset({OPEN})), Wanted()) == 0
    assert await rig.history.count(Span(BEN, ANA, GUILD, frozenset()), Wanted()) == 0


async def test_kin_goes_up_and_down(rig):
    (root,) = await rig.draw("root", age_days=9)
    (child,) = await rig.draw("child", parent=root.id, user=BEN, age_days=8)
    (grandchild,) = await rig.draw("grandchild", parent=child.id, age_days=7)
    (second,) = await rig.draw("second", parent=root.id, age_days=6)
    await rig.draw("stranger")
    found = await rig.history.kin(grandchild.id)
    kin = {one.kin.id: (one.kin.parent, one.kin.here, one.user_id) for one in found}
    assert all(one.message_id and not one.private for one in found)
    assert kin == {
        root.id: (None, False, ANA),
        child.id: (root.id, False, BEN),
        grandchild.id: (child.id, True, ANA),
        second.id: (root.id, False, ANA),
    }


async def test_old_jobs_are_added_in_the_background(rig):
    await rig.draw("a red fox")
    async with rig.database.write() as tx:
        await tx.execute("DELETE FROM history_prompts")
    assert await rig.found(search="fox") == []
    again = HistorySearch(rig.database)
    await again.prepare()
    assert not again.filled
    await again.fill()
    await again.fill()
    assert again.filled
    assert await rig.found(search="fox") == [1]


async def test_an_index_that_was_away_is_made_again(rig):
    search = HistorySearch(rig.database)
    await search.prepare()
    async with rig.database.write() as tx:
        for name in ("history_fts_add", "history_fts_remove"):
            await tx.execute(f"DROP TRIGGER {name}")  # as a SQLite without FTS5 leaves it
    await rig.draw("a red fox")
    again = HistorySearch(rig.database)
    await again.prepare()
    assert len(await History(rig.database, again).page(Span(ANA, ANA), Wanted(search="fox"), 0, 9)) == 1
    async with rig.database.write() as tx:
        await tx.execute("DELETE FROM history_prompts")
    await again.purge()
    assert await rig.database.all("SELECT rowid FROM history_fts WHERE history_fts MATCH 'fox'") == []


async def test_a_desk_is_one_persons(database):
    desks = Desks(database)
    id_ = await desks.add(ANA, Desk(wanted=Wanted(search="fox")))
    await desks.change(id_, Desk(page=2))
    assert (await desks.get(id_, ANA)).page == 2
    assert await desks.get(id_, BEN) is None
    async with database.write() as tx:
        await tx.execute("UPDATE history_desks SET state = '{\"page\": -4}'")
    assert await desks.get(id_, ANA) is None
