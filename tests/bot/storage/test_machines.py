"""The roll of machines: keys by name, cards that stay drained, and names that are gone."""

import pytest

from bot.storage import machines as module
from bot.storage.machines import Machines, Seen


@pytest.fixture
async def machines(database):
    made = Machines(database)
    await made.load()
    return made


async def names(machines):
    """As a bot that starts reads them."""
    await machines.load()
    return [one.name for one in machines.workers]


async def test_an_invited_machine_is_there_before_it_comes(machines):
    await machines.invite("garage", "U1")
    (worker,) = machines.workers
    assert (worker.name, worker.card, worker.seen_at) == ("garage", 1, None)
    assert machines.keys() == {"garage": "U1"}


async def test_cards_are_written_as_they_come_and_keep_what_was_said_of_them(machines):
    await machines.invite("garage", "U1")
    await machines.see([Seen("garage", "RTX", 5.0), Seen("garage.2", "GTX", 6.0), Seen("w1", "cpu", 7.0)])
    assert await names(machines) == ["garage", "garage.2", "w1"]
    garage, second, own = machines.workers
    assert await machines.drain([garage.id, second.id], "operator") == 2
    assert await machines.drain([second.id], "pictures") == 0  # whoever was first says why
    await machines.see([Seen("garage.2", "GTX 2", 9.0)])
    second = machines.worker(second.id)
    assert second is not None
    assert (second.gpu, second.seen_at, second.drained_for) == ("GTX 2", 9.0, "operator")
    assert await machines.resume([garage.id, second.id, own.id]) == 2
    assert all(one.drained_at is None for one in machines.workers)


async def test_a_new_key_takes_the_place_of_the_old_one(machines):
    await machines.invite("garage", "U1")
    (worker,) = machines.workers
    await machines.drain([worker.id], "operator")
    again = await machines.invite("garage", "U2")
    assert again.id == worker.machine.id
    assert machines.keys() == {"garage": "U2"}
    assert machines.workers[0].drained_at is not None


async def test_a_removed_machine_is_gone_until_it_is_invited_anew(machines):
    machine = await machines.invite("garage", "U1")
    old = machines.workers[0].id
    assert await machines.remove(machine)
    assert not await machines.remove(machine)
    assert await names(machines) == []
    assert (machines.keys(), machines.removed) == ({}, {"garage"})
    await machines.see([Seen("garage", "RTX", 5.0), Seen("Garage.2", "RTX", 5.0)])
    assert await names(machines) == []  # a last word of it writes nothing
    await machines.invite("Garage", "U2")
    assert (await names(machines), machines.removed) == (["Garage"], frozenset())
    assert machines.workers[0].id != old  # whose buttons would mean another one


async def test_a_key_that_was_made_meanwhile_is_not_removed_with_the_old_one(machines):
    before = await machines.invite("garage", "U1")
    await machines.invite("garage", "U2")
    assert not await machines.remove(before)
    assert machines.keys() == {"garage": "U2"}


async def test_names_that_differ_by_case_alone_are_one_machine(machines):
    await machines.invite("garage", "U1")
    await machines.see([Seen("GARAGE", "RTX", 5.0)])
    (worker,) = machines.workers
    assert (worker.name, worker.seen_at) == ("garage", 5.0)
    assert machines.named("Garage") == worker.machine


async def test_what_is_no_name_is_not_written_and_names_that_cost_nothing_are_bounded(machines, monkeypatch):
    monkeypatch.setattr(module, "UNINVITED_MAX", 3)
    await machines.see([Seen("a b", "x", 1.0), Seen("garage.1", "x", 1.0), Seen("", "x", 1.0)])
    assert machines.workers == ()
    await machines.see([Seen(f"m{n}", "x" * 5000, 1.0) for n in range(1, 9)])
    assert await names(machines) == ["m1", "m2", "m3"]
    assert len(machines.workers[0].gpu) == module.GPU_CHARS
    await machines.see([Seen("m2", "y", 2.0), Seen("m9", "y", 2.0)])
    assert [(one.name, one.gpu) for one in machines.workers if one.seen_at == 2.0] == [("m2", "y")]
    await machines.invite("garage", "U1")  # an invite is never refused for it
    assert machines.keys() == {"garage": "U1"}
