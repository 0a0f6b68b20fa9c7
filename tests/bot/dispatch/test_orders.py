"""What operators want of workers: drained ones run dry, removed machines hand everything back."""

from __future__ import annotations

import asyncio

from bot.dispatch.orders import Orders
from bot.domain.ids import JobId
from bot.domain.job import JobStatus
from gpu_worker.protocol import messages as m
from tests.bot.dispatch.conftest import Desk
from tests.bot.dispatch.test_trainings import TASKS, rest, train, trainer
from tests.contract.farm import new_job

__all__ = ["trainer"]


def drained(*names: str) -> Orders:
    return Orders(drained=frozenset(names))


def removed(*machines: str) -> Orders:
    return Orders(dismissed=frozenset(machines))


async def obey(desk, orders: Orders) -> None:
    await desk.dispatcher.obey(orders)
    await desk.quiet()


async def outcomes(desk, job: str) -> list[str | None]:
    rows = await desk.database.all("SELECT outcome FROM attempts WHERE job_id = ? ORDER BY attempt", (job,))
    return [row["outcome"] for row in rows]


async def test_a_drained_worker_finishes_what_it_began_and_the_rest_is_for_others(desk):
    first, second = await desk.submit("a"), await desk.submit("b")
    await desk.hello("garage")
    await desk.beat("garage", (first, 1, "sampling"), (second, 1, "queued"))
    await obey(desk, drained("garage"))
    assert desk.transport.cancels("garage") == [(second, 1, "drained")]
    assert (await desk.job(second)).status is JobStatus.QUEUED
    await desk.hello("attic")
    assert [(a.worker, a.job) for a in desk.transport.assigned[2:]] == [("attic", second)]
    await desk.done("garage", first, 1)
    assert (await desk.job(first)).status is JobStatus.DONE
    third = await desk.submit("c")
    assert desk.transport.assigned[-1].worker == "attic"
    await obey(desk, Orders())
    fourth = await desk.submit("d")
    assert {(a.worker, a.job) for a in desk.transport.assigned[-2:]} == {("attic", third), ("garage", fourth)}


async def test_a_drained_worker_stays_so_over_its_own_restart_and_the_bots(tmp_path, database):
    desk = Desk(tmp_path, database)
    await desk.dispatcher.obey(drained("garage"))
    await desk.dispatcher.start()
    await desk.submit()
    for boot in ("one", "two"):
        await desk.hello("garage", boot=boot)
        await desk.beat("garage", boot=boot)
        await desk.quiet()
    (view,) = desk.dispatcher.workers
    assert view.drained
    assert not view.takes_work
    assert not desk.transport.assigned
    assert not [sent for _, sent in desk.transport.sent if isinstance(sent, m.Prepare)]  # it warms nothing up either
    await desk.dispatcher.stop()


async def test_what_only_a_drained_worker_has_waits_for_it(desk):
    await desk.hello("garage", models=("rare",))
    await obey(desk, drained("garage"))
    await desk.hello("attic", models=("m1",))
    job = await desk.submit(model="rare")
    assert not desk.transport.assigned
    assert (await desk.job(job)).status is JobStatus.QUEUED
    await obey(desk, Orders())
    assert [a.worker for a in desk.transport.assigned] == ["garage"]


async def test_a_training_makes_way_when_its_worker_is_drained(trainer):
    job = await train(trainer)
    await trainer.beat("w1", (job, 1, "training"))
    await obey(trainer, drained("w1"))
    assert trainer.transport.cancels("w1") == [(job, 1, "pause")]
    await trainer.beat("w1", (job, 1, "training"))  # the word was lost: it is said again
    assert trainer.transport.cancels("w1") == [(job, 1, "pause")] * 2
    await trainer.dispatcher.on_message(m.Paused(worker="w1", job=job, attempt=1, step=10, of=100, reason="asked"))
    await trainer.quiet()
    found = await trainer.job(job)
    assert found.status is JobStatus.QUEUED
    assert found.held_at is None
    await trainer.hello("w2", tasks=TASKS)
    await rest(trainer)
    assert trainer.transport.assigned[-1].worker == "w2"


async def test_a_removed_machine_gives_everything_back_at_once_and_is_not_blamed(desk):
    first, second = await desk.submit("a"), await desk.submit("b")
    await desk.hello("garage")
    await desk.beat("garage", (first, 1, "sampling"), (second, 1, "queued"))
    await desk.hello("garage.2", models=("m9",))
    await obey(desk, removed("garage"))
    assert not desk.dispatcher.workers  # nor its other card
    assert {cancel[0] for cancel in desk.transport.cancels("garage")} == {first, second}
    for job in (first, second):
        found = await desk.job(job)
        assert (found.status, found.crashes) == (JobStatus.QUEUED, 0)
        assert await outcomes(desk, job) == ["removed"]
    await desk.hello("attic")
    assert {a.job for a in desk.transport.assigned[2:]} == {first, second}


async def test_nothing_of_a_removed_machine_is_taken(desk):
    job = await desk.submit()
    await desk.hello("garage")
    await desk.beat("garage", (job, 1, "sampling"))
    await obey(desk, removed("garage"))
    await desk.done("garage", job, 1)
    assert (await desk.job(job)).status is JobStatus.QUEUED
    assert not await desk.images.of_job(JobId(job))
    assert [(e.job, e.attempt) for e in desk.transport.settled_entries] == [(job, 1)]  # or it would come for ever
    part = m.Partial(worker="garage.2", job=job, attempt=1, n=0, state=b"x")
    await desk.dispatcher.on_message(part)
    assert desk.transport.taken_parts == [part]
    await desk.hello("garage", running=(m.Running(job=job, attempt=1),))
    assert not desk.dispatcher.workers
    assert desk.transport.cancels("garage")[-1] == (job, 1, "removed")
    await obey(desk, Orders())  # it was added again
    await desk.hello("garage")
    assert [view.name for view in desk.dispatcher.workers] == ["garage"]
    await desk.done("garage", job, 2)
    assert (await desk.job(job)).status is JobStatus.DONE


async def test_another_machine_whose_name_begins_alike_is_not_meant(desk):
    await desk.hello("garage2")
    await obey(desk, removed("garage"))
    assert [view.name for view in desk.dispatcher.workers] == ["garage2"]


async def test_what_a_removed_machine_held_before_a_restart_is_given_back_at_once(tmp_path, database):
    desk = Desk(tmp_path, database)
    await desk.dispatcher.start()
    job = await desk.submit()
    await desk.hello("garage")
    await desk.beat("garage", (job, 1, "sampling"))
    await desk.dispatcher.stop()
    again = Desk(tmp_path, database)
    await again.dispatcher.obey(removed("garage"))
    await again.dispatcher.start()
    await again.hello("attic")
    await again.lapse(1)  # of 30 seconds in which any other worker might come back with it
    assert [(a.worker, a.job, a.attempt) for a in again.transport.assigned] == [("attic", job, 2)]
    await again.dispatcher.stop()


async def test_an_order_while_a_job_is_being_claimed(desk, monkeypatch):
    claim, inside, go = desk.jobs.claim, asyncio.Event(), asyncio.Event()

    async def slow(*values):
        inside.set()
        await go.wait()
        return await claim(*values)

    monkeypatch.setattr(desk.jobs, "claim", slow)
    await desk.hello("garage")
    await desk.dispatcher.submit(new_job("x"))
    await inside.wait()
    await desk.dispatcher.obey(removed("garage"))
    go.set()
    await desk.quiet()
    assert not desk.transport.assigned  # it was gone before the claim was written
    await desk.hello("attic")
    assert [a.worker for a in desk.transport.assigned] == ["attic"]


async def test_what_was_about_to_be_sent_to_a_machine_is_not_once_it_is_removed(desk):
    """Nor is its user paid back twice."""
    goes_on = asyncio.Event()

    async def wish(job) -> m.PreviewWish:
        await goes_on.wait()
        return m.PreviewWish()

    desk.dispatcher._floor.previews = wish
    await desk.hello("garage", prefetch=1)
    for words in ("a", "b"):
        await desk.dispatcher.submit(new_job(words))
    while len(desk.dispatcher.workers[0].assigned) < 2:
        await asyncio.sleep(0.005)
    desk.held_back |= desk.dispatcher._floor.sends
    refunds = []
    desk.dispatcher._floor.fair.refund = refunds.append
    await desk.dispatcher.obey(removed("garage"))
    desk.transport.answer = False
    goes_on.set()
    await asyncio.gather(*desk.held_back)
    desk.held_back.clear()
    assert not desk.transport.assigned
    assert len(refunds) == 2
