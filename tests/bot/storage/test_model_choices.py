"""Rules, defaults, favourites, wishes, shelves, cards and the audit log: stored, and the same after a restart."""

import asyncio
import time

from bot.domain.job import TokenGrant
from bot.domain.model_rules import ModelDefaults, Rule, Scope
from bot.domain.next_picture import NextPicture
from bot.domain.shelves import Shelf
from bot.storage.download_cards import DownloadCard, DownloadCards
from bot.storage.model_audit import Entry, ModelAudit, ModelTest
from bot.storage.model_choices import KEPT_S, NextPictures, Shelves
from bot.storage.model_rules import ModelRules

GUILD = 10


async def loaded(database):
    rules = ModelRules(database)
    await rules.load()
    return rules


async def test_rules_are_kept_replaced_and_taken_back(database):
    rules = await loaded(database)
    said = Rule(GUILD, Scope.CHANNEL, 11, "f", enabled=False)
    await rules.put(said)
    await rules.put(Rule(GUILD, Scope.ROLE, 12, "g", enabled=True))
    assert (await loaded(database)).of(GUILD, "f") == [said]
    await rules.put(Rule(GUILD, Scope.CHANNEL, 11, "f", enabled=True))
    again = await loaded(database)
    assert again.rules == rules.rules
    assert again.rules.by_file["f"] == {(GUILD, Scope.CHANNEL, 11): True}
    assert await rules.drop(GUILD, Scope.CHANNEL, 11, "f")
    assert not await rules.drop(GUILD, Scope.CHANNEL, 11, "f")
    assert "f" not in (await loaded(database)).rules.by_file
    assert [rule.file_id for rule in rules.of(GUILD)] == ["g"]


async def test_defaults_and_favourites(database):
    rules = await loaded(database)
    await rules.set_defaults(GUILD, 0, ModelDefaults("a", "v", 2))
    await rules.set_defaults(GUILD, 5, ModelDefaults("b"))
    assert await rules.set_favourite(GUILD, "f", on=True)
    assert not await rules.set_favourite(GUILD, "f", on=True)
    again = await loaded(database)
    assert again.defaults == {(GUILD, 0): ModelDefaults("a", "v", 2), (GUILD, 5): ModelDefaults("b")}
    assert again.favourites(GUILD) == {"f"}
    assert again.favourites(None) == frozenset()
    await rules.set_defaults(GUILD, 5, ModelDefaults())
    assert await rules.set_favourite(GUILD, "f", on=False)
    again = await loaded(database)
    assert (set(again.defaults), again.favourites(GUILD)) == ({(GUILD, 0)}, frozenset())


async def test_nobody_sees_half_of_what_is_read_again_nor_loses_what_comes_meanwhile(database, monkeypatch):
    rules = await loaded(database)
    held, later = (Rule(GUILD, Scope.SERVER, GUILD, file, enabled=False) for file in ("held", "later"))
    await rules.put(held)
    await rules.set_favourite(GUILD, "held", on=True)
    await rules.set_defaults(GUILD, 0, ModelDefaults("a"))
    real, puts, seen = database.all, [], []

    async def slow(*query):
        found = await real(*query)
        if not puts:
            puts.append(asyncio.create_task(rules.put(later)))
            await asyncio.wait(puts, timeout=0.1)
        seen.append((rules.of(GUILD, "held"), rules.favourites(GUILD), len(rules.defaults)))
        return found

    monkeypatch.setattr(database, "all", slow)
    await rules.forget(["other"])
    await asyncio.gather(*puts)
    assert seen == [([held], {"held"}, 1)] * 3
    assert rules.of(GUILD) == [held, later]
    assert not rules.rules.by_file["later"][GUILD, Scope.SERVER, GUILD]


async def test_a_renamed_file_keeps_what_was_said_about_it(database):
    rules = await loaded(database)
    await rules.put(Rule(GUILD, Scope.SERVER, GUILD, "old", enabled=False))
    await rules.put(Rule(GUILD, Scope.SERVER, GUILD, "new", enabled=True))  # of a file that was there before
    await rules.set_favourite(GUILD, "old", on=True)
    await rules.set_defaults(GUILD, 0, ModelDefaults("Old name", "Old name"))
    await rules.renamed("old", "new", "checkpoint", "Old name", "New name")
    for found in (rules, await loaded(database)):
        assert found.of(GUILD) == [Rule(GUILD, Scope.SERVER, GUILD, "new", enabled=False)]
        assert found.favourites(GUILD) == {"new"}
        assert found.defaults[GUILD, 0] == ModelDefaults("New name", "Old name")
    await rules.forget(["new"])
    assert (rules.of(GUILD), rules.favourites(GUILD)) == ([], frozenset())


async def test_the_audit_log_is_read_by_those_it_is_about(database):
    audit = ModelAudit(database)
    await audit.add(Entry("add", GUILD, GUILD, 1, "f", "lora", "ink", "host"))
    await audit.add(Entry("remove", GUILD, GUILD, 1, "f", "lora", "ink", undo_id="u1"))
    await audit.add(Entry("disable", 20, 0, 2, "g", "lora", "oil"))
    # The operator removed this server's file from somewhere else: its admins shall know.
    await audit.add(Entry("remove", 0, GUILD, 3, "h", "lora", "old"))
    entries, total = await audit.page(GUILD, 0, 2)
    assert ([entry.name for entry in entries], total) == (["old", "ink"], 3)
    assert [entry.action for entry in (await audit.page(GUILD, 1, 2))[0]] == ["add"]
    assert (await audit.page(None, 0, 9))[1] == 4
    assert (await audit.page(30, 0, 9)) == ([], 0)
    removal = await audit.removal("u1")
    assert removal is not None
    assert (removal.name, removal.owner_id) == ("ink", GUILD)
    assert await audit.taken_back("u1")
    assert not await audit.taken_back("u1")
    assert await audit.removal("u1") is None


async def test_what_a_test_enables(database):
    audit = ModelAudit(database)
    await audit.add_test(ModelTest("job", "f", GUILD))
    assert await audit.test("job") == ModelTest("job", "f", GUILD)
    assert await audit.test("other") is None


async def test_a_wish_stays_until_it_is_used(database):
    wishes = NextPictures(database)
    wish = NextPicture(checkpoint="a", loras=("ink",), words=("x",))
    await wishes.put(5, wish)
    assert await NextPictures(database).get(5) == wish
    # Changed meanwhile: the newer choice is not used yet.
    await wishes.use_up(5, NextPicture(checkpoint="b"), NextPicture())
    assert await wishes.get(5) == wish
    await wishes.use_up(5, wish, NextPicture(upscaler="4x"))
    assert await wishes.get(5) == NextPicture(upscaler="4x")
    await wishes.put(5, NextPicture())
    assert (await wishes.get(5)).empty


async def test_a_wish_or_shelf_that_cannot_be_read_is_none(database, caplog):
    shelf_id = await Shelves(database).add(5, Shelf())
    async with database.write() as tx:
        await tx.execute("INSERT INTO next_pictures VALUES (5, '{\"later\": 1}', 0)")
        await tx.execute('UPDATE model_shelves SET state = \'{"page": "x"}\'')
    assert (await NextPictures(database).get(5)).empty
    assert await Shelves(database).get(shelf_id, 5) is None


async def test_shelves_belong_to_their_user_and_old_ones_go(database):
    shelves = Shelves(database)
    id_ = await shelves.add(5, Shelf(search="ink"))
    await shelves.change(id_, Shelf(search="oil", page=2))
    assert await shelves.get(id_, 5) == Shelf(search="oil", page=2)
    assert await shelves.get(id_, 6) is None
    async with database.write() as tx:
        await tx.execute("UPDATE model_shelves SET created_at = ?", (time.time() - KEPT_S - 1,))
    await shelves.add(5, Shelf())
    assert await shelves.get(id_, 5) is None


async def test_download_cards_tell_once(database):
    cards = DownloadCards(database)
    card = DownloadCard(GUILD, 11, 5, GUILD, "es-ES", held=True, grant=TokenGrant("t", 9.0))
    id_ = await cards.add(card)
    await cards.add_download(id_, "d1")
    await cards.add_download(id_, "d2")
    await cards.set_message(id_, 77)
    found = await cards.get(id_)
    assert found is not None
    assert (found.downloads, found.message_id, found.held, found.grant) == (("d1", "d2"), 77, True, card.grant)
    assert await cards.card_of("d2") == id_
    assert await cards.untold() == [id_]
    assert await cards.settle("d1", [])
    assert not await cards.settle("d1", [])
    assert await cards.tell(id_)
    assert not await cards.tell(id_)
    told = await cards.get(id_)
    assert told is not None
    assert (told.told, told.grant) == (True, None)
    assert await cards.untold() == []
