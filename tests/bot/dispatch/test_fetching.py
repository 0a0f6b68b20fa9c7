"""Who is given a job whose model is not everywhere: in memory before on disk before to be fetched."""

from __future__ import annotations

import asyncio

import pytest

from bot.dispatch.fetching import FIRST_GUESS_BYTES_S, FetchRates
from bot.dispatch.needs import ModelNeeds
from bot.dispatch.workers import Assigned, Roster, WorkerView
from gpu_worker.protocol import messages as m
from tests.bot.dispatch.test_needs import Shelf
from tests.contract.farm import new_job


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    folder = tmp_path / "library"
    folder.mkdir()
    shelf = Shelf(folder)
    shelf.add("checkpoint", "c")
    return shelf


@pytest.fixture
def fleet(desk, shelf):
    """A desk whose library is `shelf`."""
    needs = ModelNeeds(shelf)
    desk.dispatcher._floor.workers.needs = needs
    desk.dispatcher._handing._composer._needs = needs
    return desk


async def machine(desk, name: str = "garage", **fields) -> None:
    await desk.hello(name, **{"machine": name, "fetches": True, "models": (), **fields})


def roster(desk):
    return desk.dispatcher._floor.workers


async def test_a_machine_without_the_model_is_given_the_job_and_told_what_it_needs(fleet, shelf):
    await machine(fleet)
    job = await fleet.submit(model="c")
    (assign,) = fleet.transport.assigned
    assert (assign.job, assign.worker) == (job, "garage")
    assert [(ref.kind, ref.name, ref.sha256) for ref in assign.needs] == [
        ("checkpoint", "c", shelf.rows["checkpoint", "c"].sha256)
    ]


async def test_a_worker_of_the_bots_own_machine_is_told_nothing(fleet):
    await fleet.hello("w1", models=("c",))
    await fleet.submit(model="c")
    assert fleet.transport.assigned[0].needs == ()


async def test_all_of_the_library_is_offered_as_soon_as_one_machine_fetches(fleet, shelf):
    shelf.add("lora", "brush")
    await fleet.hello("w1", models=("m1",))
    assert [fact.name for fact in fleet.dispatcher.models()] == ["m1"]
    await machine(fleet)
    assert {fact.name for fact in fleet.dispatcher.models()} == {"m1", "c", "brush"}


async def test_what_the_library_no_longer_has_is_not_offered_by_a_machine_that_still_has_it(fleet):
    await machine(fleet, models=("gone", "c"))
    assert {fact.name for fact in fleet.dispatcher.models()} == {"c"}


async def test_other_bytes_under_the_same_name_are_another_model(fleet):
    fact = m.ModelFact(kind="checkpoint", name="c", sha256="f" * 64)
    hello = m.Hello(worker="garage", app_version="1", boot="b", name="garage", machine="garage", fetches=True,
                    models=(fact,))  # fmt: skip
    view = WorkerView("garage", "b", hello, 0.0)
    assert view.can_draw("c")
    assert not roster(fleet).has(view, "c")
    assert roster(fleet).fetch_bytes(view, "c") is not None


async def test_in_memory_before_on_disk_before_to_be_fetched(fleet):
    await machine(fleet, "fetches")
    await machine(fleet, "disk", models=("c",))
    await machine(fleet, "memory", models=("c",), loaded="c")
    load_s = fleet.dispatcher._handing.load_s
    views = {view.name: view for view in fleet.dispatcher.workers}
    roster(fleet).usual_load_s = 5.0
    size = roster(fleet).fetch_bytes(views["fetches"], "c")
    assert load_s(views["disk"], "c") == 5.0
    assert load_s(views["fetches"], "c") == pytest.approx(6.0 + size / FIRST_GUESS_BYTES_S)
    for held_by in ("memory", "disk", "fetches"):
        await fleet.submit(model="c")
        assert fleet.transport.assigned[-1].worker == held_by
        views[held_by].draining = True


async def test_a_budget_that_is_too_small_is_no_machine_for_that_model(fleet, shelf):
    shelf.add("checkpoint", "large", size_bytes=3 * 2**20)
    await machine(fleet, "small", models_room_mb=2)
    await machine(fleet, "large", models_room_mb=3)
    may = roster(fleet).may_draw
    views = {view.name: view for view in fleet.dispatcher.workers}
    assert not may(views["small"], "large")
    assert may(views["large"], "large")
    assert may(views["small"], "c")


async def test_a_checkpoint_without_a_hash_waits_for_it(fleet, shelf):
    shelf.add("checkpoint", "new", hashed=False)
    await machine(fleet)
    job = await fleet.submit(model="new")
    assert not fleet.transport.assigned
    shelf.add("checkpoint", "new")
    await fleet.lapse(2.0)
    assert [assign.job for assign in fleet.transport.assigned] == [job]


async def test_a_job_whose_models_come_has_reached_no_card_and_is_blamed_for_nothing(fleet):
    await machine(fleet)
    job = await fleet.submit(model="c")
    await fleet.beat("garage", (job, 1, "fetching"))
    progress = m.Progress(worker="garage", job=job, attempt=1, n=1, phase="fetching", step=10, of=1000)
    await fleet.dispatcher.on_message(progress)
    (view,) = fleet.dispatcher.workers
    assert not view.assigned[job].started
    await fleet.beat("garage", (job, 1, "sampling"))
    assert view.assigned[job].started


async def test_a_machine_warms_up_with_what_it_fetches(fleet):
    await machine(fleet)
    (prepare,) = [message for _, message in fleet.transport.sent if isinstance(message, m.Prepare)]
    assert (prepare.model, [ref.name for ref in prepare.needs]) == ("c", ["c"])


def of_garage(roster: Roster, worker: str = "garage") -> WorkerView:
    hello = m.Hello(worker=worker, app_version="1", boot="b", name=worker, machine="garage", fetches=True)
    roster[worker] = WorkerView(worker, "b", hello, 0.0)
    return roster[worker]


def test_speed_of_a_link_is_learnt_from_what_came_over_it():
    rates = FetchRates(workers := Roster())
    garage = of_garage(workers)
    held = Assigned("j", 1, "c", 0.0, fetch_bytes=100_000_000)
    assert rates.of("garage") == FIRST_GUESS_BYTES_S
    rates.hear(garage, held, "queued", 1.0)
    rates.hear(garage, held, "fetching", 2.0)
    rates.hear(garage, held, "fetching", 5.0)
    rates.hear(garage, held, "loading", 12.0)
    assert rates.of("garage") == pytest.approx(10_000_000)
    rates.hear(garage, held, "sampling", 99.0)
    assert rates.of("garage") == pytest.approx(10_000_000)
    assert rates.of("attic") == FIRST_GUESS_BYTES_S


@pytest.mark.parametrize("other_card", ["garage", "garage.2"])
def test_who_waits_for_what_is_nearly_there_says_nothing_of_the_link(other_card):
    rates = FetchRates(workers := Roster())
    garage = of_garage(workers)
    other = garage if other_card == "garage" else of_garage(workers, other_card)
    first, second = (Assigned(job, 1, "c", 0.0, fetch_bytes=100_000_000) for job in "jk")
    garage.assigned["j"], other.assigned["k"] = first, second
    rates.hear(garage, first, "fetching", 0.0)
    rates.hear(other, second, "fetching", 9.9)
    rates.hear(garage, first, "loading", 10.0)
    rates.hear(other, second, "loading", 10.0)
    assert rates.of("garage") == pytest.approx(10_000_000)


async def test_a_machine_that_fetches_is_not_thought_free_before_it_has_what_it_fetches(fleet, shelf):
    shelf.add("checkpoint", "large", size_bytes=round(60 * FIRST_GUESS_BYTES_S))
    await machine(fleet)
    await fleet.timings.learn("large", "cpu", 1.0, 1.0)
    job = await fleet.submit(model="large")
    (view,) = fleet.dispatcher.workers
    draws_s = view.assigned[job].charged.cost_s

    def free_in_s() -> float:
        return fleet.dispatcher._handing._hand(view, ()).free_in_s

    assert free_in_s() == pytest.approx(61 + draws_s)
    await fleet.beat("garage", (job, 1, "fetching"))
    fleet.now += 40
    assert free_in_s() == pytest.approx(21 + draws_s)
    await fleet.beat("garage", (job, 1, "loading"))
    assert free_in_s() == pytest.approx(draws_s)


async def test_nobody_is_left_behind_a_fetch_where_another_has_the_model(fleet, shelf):
    shelf.add("checkpoint", "large", size_bytes=round(60 * FIRST_GUESS_BYTES_S))
    await fleet.timings.learn("large", "cpu", 1.0, 1.0)
    await machine(fleet, "garage")
    first = await fleet.submit(model="large")
    assert (await fleet.job(first)).worker == "garage"
    await fleet.beat("garage", (first, 1, "fetching"))
    await machine(fleet, "disk", models=("large",), prefetch=0)
    roster(fleet).usual_load_s = 5.0
    second = await fleet.submit(model="large", user=2)
    assert (await fleet.job(second)).worker == "disk"
    later = await fleet.submit(model="large", user=3)
    standing = (await fleet.dispatcher.standings())[later]
    assert (await fleet.job(later)).worker is None
    assert standing.eta_s < 30  # after the second, not after the fetch


async def test_while_one_job_waits_for_a_hash_its_machine_is_sent_the_next(fleet, shelf, monkeypatch):
    monkeypatch.setattr("bot.dispatch.handing.RETRY_S", 3600.0)
    shelf.add("lora", "new", hashed=False)
    await machine(fleet)
    await fleet.dispatcher.submit(new_job("<lora:new:1>", model="c"))
    following, _ = await fleet.dispatcher.submit(new_job("x", model="c"))
    async with asyncio.timeout(60):
        while not fleet.transport.assigned:
            await asyncio.sleep(0.005)
    assert [assign.job for assign in fleet.transport.assigned] == [following]
