"""Trainings in the line: they come last, make way, go on where they were, and what they saved is never lost."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest

from bot.dispatch.leases import Leases
from bot.domain.ids import ChannelId, JobId, UserId, new_job_id
from bot.domain.job import Action, JobStatus, Lane, NewJob, NewTraining, work_units
from bot.domain.queue_rules import ALL_SERVERS, GateState
from bot.storage.inputs import InputPictures
from bot.storage.queue_gates import QueueGates
from bot.storage.spending import Spending
from gpu_worker.language.training.parameters import DatasetRules, Parameters
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ImageRef, Train, TrainDataset, TrainImage, TrainSubset

TASKS = ("txt2img", "img2img", "sheet", "train")
PICTURE = b"somebody's picture"
STEPS = 100
QUIET_S = Leases().quiet_s


def train_spec(name: str = "mychar", pictures: int = 2) -> Train:
    digest = hashlib.sha256(PICTURE).hexdigest()
    ref = ImageRef(ref=f"input:{digest}", sha256=digest, mime="image/png", size_bytes=len(PICTURE))
    subset = TrainSubset(name="10_mychar", num_repeats=10, images=(TrainImage(image=ref),) * pictures)
    return Train(
        checkpoint="m1",
        output_name=name,
        datasets=(TrainDataset(rules=DatasetRules(resolution=(512, 512), batch_size=2), subsets=(subset,)),),
        parameters=Parameters(seed=1, max_train_epochs=10),
    )


def new_training(user: int = 1, name: str = "mychar") -> NewJob:
    return NewJob(
        id=new_job_id(), action=Action.TRAIN, user_id=UserId(user), channel_id=ChannelId(5), task=train_spec(name),
        lane=Lane.TRAINING, training=NewTraining("set", "character"),
    )  # fmt: skip


@pytest.fixture
async def trainer(desk, tmp_path):
    """The desk with a worker that trains, and the picture that the trainings are about."""
    desk.trainings = desk.settler.trainings
    await InputPictures(desk.database, tmp_path / "inputs").keep(PICTURE, "image/png")
    await desk.hello("w1", tasks=TASKS)
    await rest(desk)
    return desk


async def rest(desk, seconds: float = QUIET_S) -> None:
    """Time passes, in which every worker goes on saying what it holds."""
    for view in desk.dispatcher.workers:
        running = ((held.job, held.attempt, "training" if held.trains else "queued") for held in view.assigned.values())
        await desk.beat(view.name, *running, boot=view.boot)
    await desk.lapse(seconds)


async def train(desk, **options) -> JobId:
    job_id, _ = await desk.dispatcher.submit(new_training(**options))
    await desk.quiet()
    return job_id


async def paused(desk, job: str, attempt: int, worker: str = "w1", **facts) -> None:
    told = {"step": 10, "of": STEPS, "run_s": 30.0, "reason": "others", **facts}
    await desk.dispatcher.on_message(m.Paused(worker=worker, job=job, attempt=attempt, **told))
    await desk.quiet()


async def step(desk, job: str, attempt: int, at: int, worker: str = "w1") -> None:
    told = m.TrainingTold(epoch=1, epochs=10, step=at, total_steps=STEPS, average_loss=0.1, curve=(0.3, 0.1))
    await desk.dispatcher.on_message(
        m.Progress(worker=worker, job=job, attempt=attempt, n=at, phase="training", step=at, of=STEPS, training=told)
    )


async def save(desk, job: str, attempt: int, name: str, content: bytes = b"weights", **facts) -> None:
    (desk.blobs / name).unlink(missing_ok=True)
    (desk.blobs / name).write_bytes(content)
    said = content if not facts.pop("damaged", False) else b"what the worker wrote"
    output = m.Output(
        blob=name, size_bytes=len(content), sha256=hashlib.sha256(said).hexdigest(),
        mime="application/vnd.safetensors", width=0, height=0, seed=0, infotext="",
    )  # fmt: skip
    file = m.SavedModel(name=facts.pop("called", name), epoch=facts.pop("epoch", 1), step=10, **facts)
    await desk.dispatcher.on_message(
        m.Partial(worker="w1", job=job, attempt=attempt, n=0, outputs=(output,), file=file)
    )


async def end(desk, job: str, attempt: int) -> None:
    await desk.dispatcher.on_message(m.Done(worker="w1", job=job, attempt=attempt, outputs=(), run_s=50.0))
    await desk.quiet()


def holds(desk, worker: str = "w1") -> set[str]:
    return next(set(view.assigned) for view in desk.dispatcher.workers if view.name == worker)


async def test_training_begins_when_nothing_else_waits_and_makes_way_for_whatever_comes(trainer):
    await trainer.timings.learn("m1", "cpu", 1.0, 1.0)
    job = await train(trainer)
    assert holds(trainer) == {job}
    given = [one.image.ref for _, one in trainer.transport.assigned[-1].spec.images()]
    assert given == [hashlib.sha256(PICTURE).hexdigest()] * 2
    assert trainer.transport.assigned[-1].max_run_s == trainer.leases.max_step_s
    other = await train(trainer, user=2, name="another")
    assert (await trainer.job(other)).status is JobStatus.QUEUED  # never one for later
    await step(trainer, job, 1, 5)

    picture = await trainer.submit("now")
    later = await trainer.submit("later")
    assert holds(trainer) == {job, picture}  # one job behind it says that it is to make way
    standings = await trainer.dispatcher.standings()
    assert (standings[picture].position, standings[later].position, standings[later].waiting) == (1, 2, 2)
    assert standings[later].eta_s < 1 < 100 < standings[job].eta_s
    assert (standings[job].position, standings[other].position, standings[other].waiting) == (0, 1, 1)

    await paused(trainer, job, 1)
    found = await trainer.job(job)
    assert (found.status, found.crashes, found.run_s) == (JobStatus.QUEUED, 0, 30.0)
    assert holds(trainer) == {picture, later}
    await trainer.done("w1", picture, 1)
    await trainer.done("w1", later, 1)
    assert holds(trainer) == set()  # who looks at their picture may want another
    await rest(trainer, QUIET_S - 1)
    assert holds(trainer) == set()
    await rest(trainer, 1)
    assert holds(trainer) == {other}  # whose user has trained less
    await trainer.submit("once more")
    await paused(trainer, other, 1, run_s=20.0)
    await trainer.done("w1", (holds(trainer) - {other}).pop(), 1)
    await rest(trainer)
    assert holds(trainer) == {other}  # each paid for what it ran, not for all of it
    rows = await trainer.database.all("SELECT outcome FROM attempts WHERE job_id = ?", (job,))
    assert [row["outcome"] for row in rows] == ["paused"]


async def test_idle_worker_takes_what_comes_before_one_that_trains_does(trainer):
    await trainer.done("w1", await trainer.submit(), 1)
    assert trainer.dispatcher.workers[0].planned_model == "m1"
    await rest(trainer)
    job = await train(trainer)
    assert trainer.dispatcher.workers[0].planned_model is None  # what was loaded is no longer
    await trainer.hello("w2", tasks=("txt2img",))
    first, second = await trainer.submit("a"), await trainer.submit("b")
    assert holds(trainer, "w2") == {first}
    assert holds(trainer, "w1") == {job, second}  # rather than behind the first


async def test_worker_set_aside_trains_and_nothing_else(desk, tmp_path):
    await InputPictures(desk.database, tmp_path / "inputs").keep(PICTURE, "image/png")
    await desk.hello("t1", tasks=TASKS, lanes=("training",))
    await desk.hello("w1", tasks=TASKS)
    assert ("t1", m.Prepare(worker="t1", model="m1")) not in desk.transport.sent
    await rest(desk)
    pictures = [await desk.submit(str(n)) for n in range(3)]
    first, second = await train(desk), await train(desk, name="another")
    assert (holds(desk, "t1"), holds(desk, "w1")) == ({first}, set(pictures[:2]))
    for picture in pictures:
        await desk.done("w1", picture, 1)
    await rest(desk)
    assert (await desk.job(second)).status is JobStatus.QUEUED  # as long as somebody is set aside for it
    standings = await desk.dispatcher.standings()
    assert standings[second].position == 1


async def test_nobody_is_given_a_training_who_does_not_announce_it(desk):
    await desk.hello("w1")
    await rest(desk)
    job = await train(desk)
    assert (await desk.job(job)).status is JobStatus.QUEUED
    assert (await desk.dispatcher.standings())[job].position == 1


async def test_training_is_paused_held_and_resumed_by_its_user(trainer):
    job = await train(trainer)
    assert await trainer.dispatcher.pause(job, UserId(1))
    assert not await trainer.dispatcher.pause(job, UserId(1))
    assert trainer.transport.cancels("w1") == [(job, 1, "pause")]
    await trainer.beat("w1", (job, 1, "training"))
    assert trainer.transport.cancels("w1")[1:] == [(job, 1, "pause")]  # one that was lost is said again
    await paused(trainer, job, 1, reason="asked")
    await paused(trainer, job, 1, reason="asked")  # delivered twice
    await rest(trainer)
    found = await trainer.job(job)
    assert (found.status, found.run_s, found.held_at is not None) == (JobStatus.QUEUED, 30.0, True)
    assert (await trainer.dispatcher.standings())[job].paused
    await trainer.hello("w1", tasks=TASKS)
    await rest(trainer)
    assert holds(trainer) == set()

    assert await trainer.dispatcher.resume(job)
    assert not await trainer.dispatcher.resume(job)
    await trainer.quiet()
    assert (await trainer.job(job)).attempt == 2
    assert await trainer.dispatcher.pause(job, UserId(1))
    assert await trainer.dispatcher.cancel(job, UserId(1)) is JobStatus.ASSIGNED
    await paused(trainer, job, 2)  # it stopped for the pause, and was cancelled meanwhile
    assert (await trainer.job(job)).status is JobStatus.CANCELLED
    assert not await trainer.dispatcher.pause(job, UserId(1))

    held = await train(trainer, name="held")
    drawn = await trainer.submit()
    assert not await trainer.dispatcher.pause(drawn, UserId(1))  # which has nothing to go on from
    await paused(trainer, held, 1)
    assert await trainer.dispatcher.pause(held, UserId(1))
    assert await trainer.dispatcher.cancel(held, UserId(1)) is JobStatus.CANCELLED


async def test_training_rests_while_an_admin_pauses_its_part_of_the_line(trainer):
    gates = QueueGates(trainer.database)
    await gates.load()
    trainer.dispatcher._floor.gates = gates
    job = await train(trainer)
    await gates.put(ALL_SERVERS, GateState.PAUSED, 9)
    await trainer.dispatcher.gates_changed()
    assert trainer.transport.cancels("w1") == [(job, 1, "pause")]
    await paused(trainer, job, 1, reason="asked")
    await rest(trainer)
    assert holds(trainer) == set()
    await gates.put(ALL_SERVERS, GateState.RUNNING, 9)
    await trainer.dispatcher.gates_changed()
    await rest(trainer)
    assert holds(trainer) == {job}


async def test_an_admins_pause_reaches_a_training_that_is_just_being_handed_out_or_taken_up(trainer, monkeypatch):
    gates = QueueGates(trainer.database)
    await gates.load()
    trainer.dispatcher._floor.gates = gates
    assign = trainer.transport.assign

    async def slowly(worker, message):  # a thousand pictures take their time
        await gates.put(ALL_SERVERS, GateState.PAUSED, 9)
        await trainer.dispatcher.gates_changed()
        trainer.transport.sent.clear()  # said before the worker knew the job
        return await assign(worker, message)

    monkeypatch.setattr(trainer.transport, "assign", slowly)
    job = await train(trainer)
    assert trainer.transport.cancels("w1") == [(job, 1, "pause")]
    await trainer.beat("w1", (job, 1, "training"))
    await trainer.lapse(trainer.leases.lease_s + 1)  # silent
    trainer.transport.sent.clear()
    await trainer.hello("w1", tasks=TASKS, running=(m.Running(job=job, attempt=1, phase="training"),))
    assert trainer.transport.cancels("w1") == [(job, 1, "pause")]
    await paused(trainer, job, 1)
    await gates.put(ALL_SERVERS, GateState.RUNNING, 9)
    monkeypatch.undo()
    await trainer.dispatcher.gates_changed()
    await rest(trainer)
    assert holds(trainer) == {job}


async def test_late_word_of_a_pause_changes_nothing(trainer):
    job = await train(trainer)
    await trainer.lapse(trainer.leases.lease_s + 1)  # silent
    await trainer.hello("w1", tasks=TASKS, boot="another")
    await rest(trainer)
    assert (await trainer.job(job)).attempt == 2
    await paused(trainer, job, 1)
    assert (await trainer.job(job)).status is JobStatus.ASSIGNED
    assert [entry.attempt for entry in trainer.transport.settled_entries] == [1]  # and it is not said again


async def test_restart_takes_up_the_pause_that_was_asked_for_and_the_one_that_was_made(tmp_path, database, trainer):
    from tests.bot.dispatch.conftest import Desk

    job = await train(trainer)
    await trainer.dispatcher.pause(job, UserId(1))
    await trainer.dispatcher.stop()
    desk = Desk(tmp_path, database)
    await desk.dispatcher.start()
    try:
        await desk.hello("w1", tasks=TASKS, running=(m.Running(job=job, attempt=1, phase="training"),))
        await desk.beat("w1", (job, 1, "training"))
        assert desk.transport.cancels("w1") == [(job, 1, "pause")]
        await paused(desk, job, 1)
        await desk.lapse(100)
        assert (await desk.job(job)).status is JobStatus.QUEUED
        await desk.dispatcher.resume(job)
        await desk.hello("w1", tasks=TASKS)
        await rest(desk)
        assert (await desk.job(job)).attempt == 2
    finally:
        await desk.dispatcher.stop()
    third = Desk(tmp_path, database)
    orphaned = m.Paused(worker="w1", job=job, attempt=2, step=10, of=STEPS, run_s=3.0, reason="orphaned")
    await third.dispatcher.on_message(orphaned)  # from the outbox, before anybody said hello
    await third.dispatcher.start()
    try:
        found = await third.job(job)
        assert (found.status, found.crashes, found.held_at) == (JobStatus.QUEUED, 0, None)
    finally:
        await third.dispatcher.stop()


async def test_death_counts_only_where_the_training_got_no_further(trainer):
    job = await train(trainer)
    for attempt, reached in enumerate((20, 40, 40, 15, 3), start=1):
        assert (await trainer.job(job)).attempt == attempt
        await trainer.beat("w1", (job, attempt, "training"))
        await step(trainer, job, attempt, reached)
        await trainer.hello("w1", tasks=TASKS, boot=f"boot {attempt}")
        await rest(trainer)
    # Twice it came further than before; dying at the same place each time is the job's own fault.
    found = await trainer.job(job)
    assert (found.status, found.failure_kind, found.crashes) == (JobStatus.FAILED, "crash", 3)
    training = await trainer.trainings.get(job)
    assert (training.step, training.of_steps, training.curve) == (3, STEPS, (0.3, 0.1))


async def test_training_may_be_handed_out_any_number_of_times(trainer):
    job = await train(trainer)
    async with trainer.database.write() as tx:
        await tx.execute("UPDATE jobs SET attempt = 200 WHERE id = ?", (job,))
    await trainer.jobs.lose(job, 200, blamed=True, outcome="crashed", max_crashes=3, failure={})
    assert (await trainer.job(job)).status is JobStatus.QUEUED


async def test_saved_files_arrive_at_once_and_stay_whatever_becomes_of_the_training(trainer):
    job = await train(trainer)
    await save(trainer, job, 1, "mychar-000001")
    assert trainer.seen.saves == [(job, "mychar-000001")]
    await save(trainer, job, 1, "mychar-000001")  # delivered twice
    await save(trainer, job, 1, "mychar-000001", b"after a death it is saved again")
    assert len(trainer.transport.taken_parts) == 3
    (kept,) = await trainer.trainings.files(job)
    assert (kept.path.read_bytes(), kept.epoch, kept.final) == (b"weights", 1, False)
    await save(trainer, job, 1, "evil", called="../../evil")
    assert not list(kept.path.parents[2].glob("evil*"))
    await end(trainer, job, 1)  # its last file is lost, so it is not done
    again = await trainer.job(job)
    assert (again.status, again.attempt) == (JobStatus.ASSIGNED, 2)

    # One that is damaged on its way takes nothing with it.
    await save(trainer, job, 2, "mychar", b"last", damaged=True, epoch=10, final=True, gone="mychar-000001")
    assert [file.name for file in await trainer.trainings.files(job)] == ["mychar-000001"]
    await save(trainer, job, 2, "mychar", b"last", epoch=10, final=True, gone="mychar-000001")
    await end(trainer, job, 2)
    found = await trainer.job(job)
    assert (found.status, await trainer.images.of_job(job)) == (JobStatus.DONE, [])
    assert [file.name for file in await trainer.trainings.files(job)] == ["mychar"]
    assert not kept.path.exists()
    assert await trainer.trainings.name_taken("MyChar-000003")
    await trainer.trainings.sweep()
    (last,) = await trainer.trainings.files(job)
    assert last.path.read_bytes() == b"last"

    cancelled = await train(trainer, name="other")
    await trainer.dispatcher.cancel(cancelled, UserId(1))
    await trainer.dispatcher.on_message(m.Cancelled(worker="w1", job=cancelled, attempt=1))
    await save(trainer, cancelled, 1, "other-000001")  # out of order
    assert [file.name for file in await trainer.trainings.files(cancelled)] == ["other-000001"]
    await trainer.trainings.remove(cancelled)
    await trainer.quiet()
    assert trainer.transport.sent[-1] == ("w1", m.Forget(worker="w1", job=cancelled))
    assert not await trainer.trainings.name_taken("other")
    await save(trainer, cancelled, 1, "other-000002")
    assert not trainer.trainings.folder(cancelled).exists()


async def test_a_worker_that_was_away_hears_which_trainings_are_over(trainer):
    job = await train(trainer)
    await save(trainer, job, 1, "mychar", final=True)
    await end(trainer, job, 1)
    held = await train(trainer, user=2, name="held")
    await trainer.dispatcher.cancel(held, UserId(2))
    await trainer.hello("w2", tasks=TASKS, kept=(job, held, "unknown"))
    forgotten = [message.job for worker, message in trainer.transport.sent if worker == "w2" and message.t == "forget"]
    assert forgotten == [job, "unknown"]  # what was cancelled may be wanted after all


async def test_full_disk_keeps_a_saved_file_and_the_end_behind_it_in_the_outbox(trainer, monkeypatch):
    job = await train(trainer)

    def full(*_: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr("bot.storage.trainings.move", full)
    with pytest.raises(OSError, match="full"):
        await save(trainer, job, 1, "mychar", final=True)
    with pytest.raises(OSError, match="not stored yet"):
        await end(trainer, job, 1)
    assert (trainer.transport.taken_parts, trainer.transport.settled_entries) == ([], [])
    assert (await trainer.job(job)).status is JobStatus.ASSIGNED
    monkeypatch.undo()
    await save(trainer, job, 1, "mychar", final=True)
    await end(trainer, job, 1)
    assert (await trainer.job(job)).status is JobStatus.DONE


async def test_training_without_one_of_its_pictures_fails_with_its_reason(trainer, tmp_path):
    new = new_training()
    lost = ImageRef(ref=f"input:{'1' * 64}", sha256="1" * 64, mime="image/png", size_bytes=3)
    subset = TrainSubset(name="a", images=(TrainImage(image=lost),))
    spec = new.task.model_copy(update={"datasets": (TrainDataset(subsets=(subset,)),)})
    job, _ = await trainer.dispatcher.submit(replace(new, task=spec))
    await trainer.quiet()
    found = await trainer.job(job)
    assert (found.status, found.failure_detail) == (JobStatus.FAILED, {"reason": "source_gone"})


async def test_speed_of_training_is_learnt_beside_that_of_drawing(trainer):
    job = await train(trainer)
    units = work_units(train_spec())
    assert units == pytest.approx(10 * 10 * 2 * 512 * 512 / 1e6)
    await trainer.timings.learn("m1", "cpu", 1.0, 4.0)
    assert trainer.timings.training_s("m1", 1.0) == 8.0  # until it is known better
    await step(trainer, job, 1, 10)
    trainer.now += 60.0
    await trainer.beat("w1", (job, 1, "training"))
    await step(trainer, job, 1, 40)
    await paused(trainer, job, 1, step=40)
    assert trainer.timings.training_s("m1", units) == pytest.approx(200.0)
    assert trainer.timings.estimate_s("new checkpoint", 1.0) == 4.0
    (row,) = await trainer.jobs.queue()
    assert row.work_units == pytest.approx(units * 0.6)  # what is left


async def test_training_takes_no_place_from_its_user_and_counts_as_long_as_it_ran(trainer):
    spending = Spending(trainer.database, trainer.timings.estimate_s)
    job = await train(trainer)
    assert await trainer.jobs.count_waiting_of(UserId(1)) == 0
    assert ((await spending.of(1)).waiting, (await spending.of(1)).pictures) == (0, 0)
    await trainer.beat("w1", (job, 1, "training"))
    trainer.now += 9.0
    await trainer.dispatcher.cancel(job, UserId(1))
    await trainer.dispatcher.on_message(m.Cancelled(worker="w1", job=job, attempt=1))
    assert (await spending.of(1)).gpu_s == 9.0


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_nobody_waits_for_a_training(trainer, seed):
    """A walk through a day: at no moment does a job wait that a worker which trains, or an idle one, could draw."""
    dice, desk = random.Random(seed), trainer
    await desk.hello("w2", tasks=TASKS)
    names = iter(f"lora{n}" for n in range(1000))
    for _ in range(60):
        what = dice.choice(("picture", "batch", "train", "yield", "done", "done", "time", "hold", "go on", "die"))
        views = list(desk.dispatcher.workers)
        view = dice.choice(views)
        held = next((one for one in view.assigned.values() if not one.trains), None)
        waiting = [row for row in await desk.jobs.queue() if row.lane is Lane.TRAINING]
        match what:
            case "picture":
                await desk.submit(user=dice.randint(1, 3))
            case "batch":
                await desk.submit(user=dice.randint(1, 3), lane=Lane.BATCH)
            case "train" if len(waiting) < 4:
                await train(desk, user=dice.randint(1, 3), name=next(names))
            case "yield" if view.training is not None and view.others:
                await paused(desk, view.training.job, view.training.attempt, worker=view.name)
            case "done" if held is not None and view.training is None:
                await desk.done(view.name, held.job, held.attempt)
            case "time":
                await rest(desk, dice.choice((1.0, QUIET_S)))
            case "hold" if waiting:
                await desk.dispatcher.pause(dice.choice(waiting).id, UserId(1))
            case "go on" if waiting:
                await desk.dispatcher.resume(dice.choice(waiting).id)
            case "die":
                await desk.hello(view.name, tasks=TASKS, boot=str(dice.random()))
            case _:
                pass
        await desk.quiet()
        queued = [row for row in await desk.jobs.queue() if row.status is JobStatus.QUEUED]
        for each in desk.dispatcher.workers:
            assert sum(one.trains for one in each.assigned.values()) <= 1
            if any(row.lane is not Lane.TRAINING for row in queued):
                assert each.others  # none is idle, or trains with nobody told
        for row in await desk.jobs.queue():
            if row.held and row.status is JobStatus.ASSIGNED:
                assert row.id in desk.dispatcher._floor.pausing
