"""Data sets: pictures are counted once, changes can be taken back, and nothing stays behind that nobody needs."""

from dataclasses import replace

import pytest

from bot.domain.ids import GuildId, UserId
from bot.domain.job import Action, JobStatus
from bot.errors import UserFacingError
from bot.storage import datasets as module
from bot.storage.datasets import Datasets, NewPicture
from bot.storage.forgetting import Forgetting
from bot.storage.inputs import InputPictures
from tests.contract.farm import new_job
from tests.stage.datasets_given import painting

ANA, BEN = UserId(1), UserId(2)
ROOM = 10_000


@pytest.fixture
def inputs(database, tmp_path):
    return InputPictures(database, tmp_path / "inputs")


@pytest.fixture
def datasets(database):
    return Datasets(database)


async def begun(datasets, name="Mina", user=ANA):
    return await datasets.create(user, name, guild_id=GuildId(5), consent_at=1.0, class_tokens="mina")


async def picture(inputs, data=b"one", name="a", **more):
    return NewPicture(await inputs.keep(data, "image/png"), 64, 32, 2**63 + 1, name, **more)


def there(inputs, data):
    return [path for path in inputs._root.glob("*/*") if path.read_bytes() == data]


async def test_names_are_one_persons_and_case_does_not_count(datasets):
    mine = await begun(datasets, "Árbol")
    await begun(datasets, "árbol", BEN)
    with pytest.raises(UserFacingError, match="dataset_exists"):
        await begun(datasets, "ÁRBOL")
    assert await datasets.by_name(ANA, " áRBOL ") == mine
    assert await datasets.names(ANA) == ["Árbol"]
    assert [folder.name for folder in await datasets.folders(mine.id)] == ["10_mina"]


async def test_what_comes_from_an_age_restricted_channel_never_is_there_without_its_mark(datasets, inputs):
    dataset = await begun(datasets)
    (folder,) = await datasets.folders(dataset.id)
    one, two = await picture(inputs, b"one"), await picture(inputs, b"two")
    await datasets.add_pictures(folder.id, [one], room_bytes=ROOM)
    await datasets.add_pictures(folder.id, [one], room_bytes=ROOM, nsfw=True)  # nothing new
    assert not (await datasets.get(dataset.id)).nsfw
    await datasets.add_pictures(folder.id, [two], room_bytes=ROOM, near_bits=64, nsfw=True)  # which waits for a word
    assert (await datasets.get(dataset.id)).nsfw


async def test_pictures_find_room_once_and_in_order(datasets, inputs):
    dataset = await begun(datasets)
    (folder,) = await datasets.folders(dataset.id)
    one, same, two = [await picture(inputs, data) for data in (b"one", b"one", b"two2")]
    three = await picture(inputs, b"three")
    added = await datasets.add_pictures(folder.id, [one, same, two, three], room_bytes=8)
    assert [(shown.name, shown.look) for shown in added.added] == [("a", 2**63 + 1), ("a-2", 2**63 + 1)]
    assert added.there == ((same, added.added[0]),)
    assert added.over == (three,)
    again = await datasets.add_pictures(folder.id, [three], room_bytes=ROOM, most=2)
    assert again.full == (three,)
    assert await datasets.pictures(dataset.id) == list(added.added)
    # The same file in another data set takes no room a second time.
    other = await begun(datasets, "Other")
    (elsewhere,) = await datasets.folders(other.id)
    await datasets.add_pictures(elsewhere.id, [one], room_bytes=8)
    assert await datasets.held_by(ANA) == module.Held(2, 7)
    assert await datasets.held(other.id) == module.Held(1, 3)


async def test_a_removal_can_be_undone_for_a_day_and_files_go_then(datasets, inputs, database):
    dataset = await begun(datasets)
    (folder,) = await datasets.folders(dataset.id)
    new = [await picture(inputs, data) for data in (b"one", b"two")]
    ids = [one.id for one in (await datasets.add_pictures(folder.id, new, room_bytes=ROOM)).added]
    assert await datasets.remove_pictures(dataset.id, ids[:1]) == 1
    assert await datasets.removable(dataset.id) == 1
    assert [one.id for one in await datasets.pictures(dataset.id)] == ids[1:]
    assert await datasets.bring_back(dataset.id) == 1
    await datasets.remove_pictures(dataset.id, ids[:1])
    await datasets.add_pictures(folder.id, new[:1], room_bytes=ROOM)
    assert await datasets.bring_back(dataset.id) == 0, "the file is in it again"
    await inputs.sweep()
    assert there(inputs, b"one")
    await datasets.remove_pictures(dataset.id, ids[1:])
    await database.write_one("UPDATE dataset_images SET removed_at = removed_at - 86400 WHERE removed_at IS NOT NULL")
    assert await datasets.removable(dataset.id) == 0
    await inputs.discard_unused(await datasets.purge())
    assert not there(inputs, b"two")
    assert there(inputs, b"one"), "the one that was added again has it"


async def test_folders_hold_what_they_say(datasets, inputs):
    dataset = await begun(datasets)
    (first,) = await datasets.folders(dataset.id)
    reg = await datasets.add_folder(dataset.id, 1, "girl", is_reg=True)
    side = await datasets.add_folder(dataset.id, 5, "mina side")
    assert await datasets.add_folder(dataset.id, 5, "Mina side") == side
    assert [one.id for one in await datasets.folders(dataset.id)] == [first.id, side.id, reg.id]
    new = [await picture(inputs, data) for data in (b"one", b"two")]
    ids = [one.id for one in (await datasets.add_pictures(first.id, new, room_bytes=ROOM)).added]
    assert await datasets.move_pictures(dataset.id, ids[1:], side.id) == 1
    assert [one.id for one in await datasets.pictures(dataset.id, side.id)] == ids[1:]
    with pytest.raises(UserFacingError, match="dataset_folder_exists"):
        await datasets.change_folder(first.id, 5, "mina side", is_reg=False)
    with pytest.raises(UserFacingError, match="dataset_folder_holds"):
        await datasets.remove_folder(side.id)
    await datasets.remove_pictures(dataset.id, ids[1:])
    await datasets.remove_folder(side.id)
    assert await datasets.bring_back(dataset.id) == 1
    assert [one.id for one in await datasets.pictures(dataset.id, first.id)] == [ids[0], ids[1]]
    await datasets.remove_folder(reg.id)
    await datasets.remove_pictures(dataset.id, ids)
    with pytest.raises(UserFacingError, match="dataset_folder_last"):
        await datasets.remove_folder(first.id)
    (foreign,) = await datasets.folders((await begun(datasets, "B")).id)
    with pytest.raises(UserFacingError, match="dataset_folder_gone"):
        await datasets.move_pictures(dataset.id, ids, foreign.id)


async def test_captions_are_taken_back_step_by_step(datasets, inputs, monkeypatch):
    monkeypatch.setattr(module, "CHANGES_KEPT", 2)
    dataset = await begun(datasets)
    (folder,) = await datasets.folders(dataset.id)
    new = [await picture(inputs, b"one"), await picture(inputs, b"two", caption="given")]
    one, two = [shown.id for shown in (await datasets.add_pictures(folder.id, new, room_bytes=ROOM)).added]

    async def captions():
        return [shown.caption for shown in await datasets.pictures(dataset.id)]

    assert await datasets.set_captions(dataset.id, {one: "x", two: "given"}, "first") == 1
    assert await datasets.set_captions(dataset.id, {one: "x"}, "nothing") == 0
    assert await datasets.set_captions(dataset.id, {one: "y", two: None}, "second") == 2
    await datasets.set_captions(dataset.id, {one: "z"}, "third")
    assert [(change.what, change.pictures) for change in await datasets.changes(dataset.id)] == [
        ("third", 1), ("second", 2),
    ]  # fmt: skip
    await datasets.undo(dataset.id)
    undone = await datasets.undo(dataset.id)
    assert undone is not None
    assert undone.what == "second"
    assert await captions() == ["x", "given"]
    assert await datasets.undo(dataset.id) is None


async def test_a_deleted_data_set_leaves_its_files_to_the_training_that_runs(datasets, inputs, database, jobs):
    dataset = await begun(datasets)
    (folder,) = await datasets.folders(dataset.id)
    new = [await picture(inputs, data) for data in (b"one", b"two")]
    await datasets.add_pictures(folder.id, new, room_bytes=ROOM)
    job = replace(new_job("x"), action=Action.TRAIN)
    await jobs.add(job)
    await database.write_one("UPDATE jobs SET spec = ? WHERE id = ?", (f'{{"image": "{new[0].ref.ref}"}}', job.id))
    refs = await datasets.delete(dataset.id)
    assert refs is not None
    assert await datasets.delete(dataset.id) is None
    await inputs.discard_unused(refs)
    assert there(inputs, b"one")
    assert not there(inputs, b"two")
    await jobs.transition(job.id, (JobStatus.QUEUED,), JobStatus.FAILED)
    await inputs.sweep()
    assert not there(inputs, b"one")
    for table in ("dataset_folders", "dataset_images", "dataset_changes"):
        assert await database.all(f"SELECT 1 FROM {table}") == []


async def test_a_forgotten_person_leaves_no_data_set(datasets, inputs, database):
    for user in (ANA, BEN):
        (folder,) = await datasets.folders((await begun(datasets, user=user)).id)
        added = await datasets.add_pictures(folder.id, [await picture(inputs, b"%d" % user)], room_bytes=ROOM)
        await datasets.set_captions(folder.dataset_id, {added.added[0].id: "x"}, "change")
    await Forgetting(database).finish(ANA)
    await inputs.sweep()
    assert not there(inputs, b"1")
    assert there(inputs, b"2")
    assert len(await database.all("SELECT 1 FROM dataset_changes")) == 1


async def test_what_nearly_equals_another_waits_for_a_word(datasets, inputs, database):
    dataset = await begun(datasets)
    (folder,) = await datasets.folders(dataset.id)
    looks = {b"one": 0, b"two": 1, b"three": 1 << 10, b"four": 2**64 - 1}
    new = [replace(await picture(inputs, data, data.decode()), look=look) for data, look in looks.items()]
    added = await datasets.add_pictures(folder.id, new, room_bytes=ROOM, near_bits=1)
    assert [one.name for one in added.added] == ["one", "four"]
    assert [(one.picture.name, one.like.name) for one in added.waiting] == [("two", "one"), ("three", "one")]
    assert await datasets.waiting(dataset.id) == list(added.waiting)
    assert await datasets.removable(dataset.id) == await datasets.bring_back(dataset.id) == 0, "no undo of that"
    again = await datasets.add_pictures(folder.id, new[1:2], room_bytes=ROOM, near_bits=1)
    assert (again.added, again.waiting) == ((), ()), "it waits already"
    assert await datasets.answer_waiting(dataset.id, (), asked=()) == (0, []), "what nobody was asked about waits on"
    assert len(await datasets.waiting(dataset.id)) == 2
    taken, left = await datasets.answer_waiting(dataset.id, [added.waiting[1].picture.id])
    await inputs.discard_unused(left)
    assert (taken, [one.name for one in await datasets.pictures(dataset.id)]) == (1, ["one", "three", "four"])
    assert not there(inputs, b"two")
    # Whoever says nothing for a day did not want it.
    await datasets.add_pictures(folder.id, [replace(new[1], ref=await inputs.keep(b"two", "image/png"))],
                                room_bytes=ROOM, near_bits=1)  # fmt: skip
    await database.write_one("UPDATE dataset_images SET removed_at = removed_at - 86400 WHERE removed_at IS NOT NULL")
    await inputs.discard_unused(await datasets.purge())
    assert await datasets.waiting(dataset.id) == []
    assert not there(inputs, b"two")


async def test_small_copies_go_with_their_files(datasets, inputs):
    dataset = await begun(datasets)
    (folder,) = await datasets.folders(dataset.id)
    new = await picture(inputs, painting(1))
    await datasets.add_pictures(folder.id, [new], room_bytes=10**6)
    small = inputs.small_now(new.ref)
    assert small is not None
    assert inputs.small_now(new.ref) == small
    assert len(list(inputs._root.glob("*/*"))) == 2
    await inputs.sweep()
    assert len(list(inputs._root.glob("*/*"))) == 2
    await inputs.discard_unused(await datasets.delete(dataset.id) or [])
    assert list(inputs._root.glob("*/*")) == []
    assert inputs.small_now(new.ref) is None
