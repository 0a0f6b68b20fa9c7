"""What was said about a model file is not said about the next one of its name."""

import pytest

from bot.domain.model_rules import EVERYWHERE, Rule, Scope
from bot.library import Arrival
from tests.bot.studio.admin_rig import GUILD
from tests.e2e.model_files import lora_bytes


@pytest.fixture
async def ruled(rig):
    """`ink 0`, disabled everywhere, and recommended."""
    await rig.start()
    await rig.rules.put(Rule(EVERYWHERE, Scope.SERVER, EVERYWHERE, rig.lora().id, enabled=False))
    await rig.rules.set_favourite(GUILD, rig.lora().id, on=True)
    return rig


async def adopt(rig, words=("oil",), before_seen=None):
    source = rig.data / "new.safetensors"
    source.write_bytes(lora_bytes("new", words))
    return await rig.library.adopt(
        Arrival(source, "lora", "ink 0", added_by=3, added_in=GUILD, before_seen=before_seen)
    )


async def said(rig, id_):
    stored = await rig.database.all("SELECT file_id FROM model_rules")
    assert (id_ in rig.rules.rules.by_file) == ([row[0] for row in stored].count(id_) > 0)
    return id_ in rig.rules.rules.by_file, id_ in rig.rules.favourites(GUILD)


async def test_a_new_file_inherits_nothing_of_one_that_was_removed(ruled):
    id_ = ruled.lora().id
    await ruled.library.remove(id_)
    assert (await adopt(ruled)).id == id_
    assert await said(ruled, id_) == (False, False)


async def test_what_is_held_stays_held(ruled):
    id_ = ruled.lora().id
    await ruled.library.remove(id_)

    async def hold(new_id):
        await ruled.rules.put(Rule(GUILD, Scope.SERVER, GUILD, new_id, enabled=False))

    await adopt(ruled, before_seen=hold)
    assert [rule.guild_id for rule in ruled.rules.of(GUILD, id_)] == [GUILD]
    assert ruled.rules.of(EVERYWHERE, id_) == []


async def test_undo_brings_the_rules_back_with_the_file(ruled):
    id_ = ruled.lora().id
    undo_id = await ruled.library.remove(id_)
    assert (await ruled.library.restore(undo_id)).id == id_
    assert await said(ruled, id_) == (True, True)


async def test_an_emptied_trash_takes_the_rules_with_it(ruled):
    id_ = ruled.lora().id
    await ruled.library.remove(id_)
    await ruled.library.forget_trash(3600)
    assert await said(ruled, id_) == (True, True)
    await ruled.library.forget_trash(0)
    assert await said(ruled, id_) == (False, False)


async def test_an_emptied_trash_leaves_the_rules_of_who_took_the_place(ruled):
    id_ = ruled.lora().id
    await ruled.library.remove(id_)
    await adopt(ruled)
    await ruled.rules.put(Rule(GUILD, Scope.SERVER, GUILD, id_, enabled=True))
    await ruled.library.forget_trash(0)
    assert await said(ruled, id_) == (True, False)


async def test_what_comes_back_under_a_number_inherits_nothing_there(ruled):
    undo_id = await ruled.library.remove(ruled.lora().id)
    await adopt(ruled)
    second = await adopt(ruled, words=("other",))  # ink 0 2, deleted by hand with its rule left
    await ruled.rules.put(Rule(GUILD, Scope.SERVER, GUILD, second.id, enabled=True))
    second.path.unlink()
    await ruled.library.refresh()
    assert (await ruled.library.restore(undo_id)).id == second.id
    assert await said(ruled, second.id) == (False, False)
