"""What needs a worker that says exactly this at exactly that moment."""

from __future__ import annotations

import asyncio
import gc

import pytest

from bot.domain.ids import UserId
from bot.domain.job import JobStatus
from bot.storage.database import StorageFullError
from bot.storage.inputs import InputPictures
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Hires, ImageRef, Img2Img, Mask, RenderedSource, StoredSource
from tests.contract.farm import new_job


async def test_first_done_of_any_attempt_wins_and_later_ones_are_dropped(desk):
    job = await desk.submit()
    await desk.hello("w1")
    await desk.beat("w1", (job, 1, "sampling"))
    await desk.hello("w2")
    await desk.lapse(20)  # both silent
    await desk.hello("w2")
    assert desk.transport.assigned[-1].attempt == 2
    await desk.done("w1", job, 1, b"first")
    assert (await desk.job(job)).status is JobStatus.DONE
    assert desk.transport.cancels("w2") == [(job, 2, "done elsewhere")]
    await desk.done("w2", job, 2, b"second")
    (picture,) = await desk.images.of_job(job)
    assert await desk.images.read(picture) == b"first"
    assert desk.seen.ends == [job]
    assert [(e.job, e.attempt) for e in desk.transport.settled_entries] == [(job, 1), (job, 2)]
    rows = await desk.database.all("SELECT attempt, outcome FROM attempts WHERE job_id = ? ORDER BY attempt", (job,))
    assert [tuple(row) for row in rows] == [(1, "silent"), (2, "withdrawn")]


async def test_two_results_of_one_job_at_the_same_moment_leave_the_file_that_the_table_names(desk, monkeypatch):
    take = desk.images.take

    async def slow(*values) -> None:
        await take(*values)
        await asyncio.sleep(0.05)  # time for the other one to put its file in the same place

    monkeypatch.setattr(desk.images, "take", slow)
    job = await desk.submit()
    await desk.hello("w1")
    await asyncio.gather(*(desk.done("w1", job, 1, bytes([n]) * 1000) for n in range(3)))
    (picture,) = await desk.images.of_job(job)
    await desk.images.read(picture)  # raises where the file is another result's
    assert (await desk.job(job)).crashes == 0  # none took the other's file for a damaged one of its own
    assert len(desk.transport.assigned) == 1
    assert desk.seen.ends == [job]


async def test_failure_of_an_older_attempt_says_nothing_about_the_running_one(desk):
    job = await desk.submit()
    await desk.hello("w1")
    await desk.lapse(20)
    await desk.hello("w2")
    await desk.dispatcher.on_message(m.Failed(worker="w1", job=job, attempt=1, kind="oom"))
    await desk.dispatcher.on_message(m.Cancelled(worker="w1", job=job, attempt=1))
    running = await desk.job(job)
    assert (running.status, running.attempt) == (JobStatus.ASSIGNED, 2)


async def test_cancelled_that_nobody_asked_for_puts_the_job_back(desk):
    job = await desk.submit()
    await desk.hello("w1")
    await desk.dispatcher.on_message(m.Cancelled(worker="w1", job=job, attempt=1))
    await desk.quiet()
    assert (await desk.job(job)).attempt == 2
    assert desk.seen.ends == []


async def test_refused_job_is_not_offered_to_the_same_worker_again_and_others_are(desk):
    await desk.hello("w1")
    desk.transport.answer = False
    refused = await desk.submit()
    assert (await desk.job(refused)).status is JobStatus.QUEUED
    assert len(desk.transport.assigned) == 1
    desk.transport.answer = True
    taken = await desk.submit()
    assert (await desk.job(taken)).status is JobStatus.ASSIGNED
    await desk.hello("w2")
    assert (await desk.job(refused)).worker == "w2"
    assert (await desk.job(refused)).crashes == 0


async def test_refused_start_is_not_charged_to_its_user(desk):
    await desk.hello("w1")
    desk.transport.answer = False
    await desk.submit(user=1)
    await desk.dispatcher.on_message(m.Heartbeat(worker="w1", boot="boot of w1", draining=True))
    desk.transport.answer = True
    other = await desk.submit(user=2)
    mine = await desk.submit(user=1)
    standings = await desk.dispatcher.standings()
    assert standings[other].position < standings[mine].position


async def test_unknown_answer_keeps_the_lease_until_it_lapses(desk):
    await desk.hello("w1")
    desk.transport.answer = None
    job = await desk.submit()
    assert (await desk.job(job)).status is JobStatus.ASSIGNED
    desk.now += 8
    await desk.beat("w1")
    await desk.lapse(1)
    assert (await desk.job(job)).attempt == 1
    desk.now += 1
    await desk.beat("w1")  # alive, but it does not list the job for a whole lease
    await desk.lapse(1.5)
    assert (await desk.job(job)).attempt == 2


async def test_duplicate_assign_answer_and_heartbeats_keep_one_attempt(desk):
    await desk.hello("w1")
    job = await desk.submit()
    for _ in range(3):
        await desk.beat("w1", (job, 1, "sampling"))
        await desk.dispatcher.on_message(m.AssignReply(worker="w1", job=job, attempt=1, accepted=True))
        await desk.hello("w1", running=(m.Running(job=job, attempt=1, phase="sampling"),))
    assert [a.attempt for a in desk.transport.assigned if a.job == job] == [1]


async def test_what_nobody_gave_a_worker_is_fenced(desk):
    await desk.hello("w1")
    await desk.beat("w1", ("strange", 3, "sampling"))
    assert desk.transport.cancels("w1") == [("strange", 3, "fenced")]


async def test_unknown_worker_is_asked_to_introduce_itself(desk):
    await desk.beat("w9")
    assert desk.transport.sent == [("w9", m.Resync())]


async def test_every_worker_is_told_that_model_files_changed(desk):
    await desk.hello("w1")
    await desk.hello("w2")
    desk.dispatcher.rescan()
    await asyncio.sleep(0)
    assert desk.transport.sent[-2:] == [("w1", m.Rescan()), ("w2", m.Rescan())]


async def test_future_protocol_gets_no_jobs_and_its_models_do_not_count(desk):
    await desk.hello("w1", proto_min=m.PROTO_MAX + 1, proto_max=m.PROTO_MAX + 3, models=("m9",))
    job = await desk.submit(model="m9")
    assert desk.transport.assigned == []
    assert desk.dispatcher.models() == ()
    assert len(desk.dispatcher.workers) == 1  # but it is shown
    await desk.hello("w2")
    assert (await desk.job(job)).worker == "w2"  # whose refusal is the user's sentence


async def test_wider_protocol_range_gets_jobs(desk):
    await desk.hello("w1", proto_min=m.PROTO_MIN, proto_max=m.PROTO_MAX + 3)
    assert (await desk.job(await desk.submit())).status is JobStatus.ASSIGNED


async def test_worker_without_the_model_is_passed_over_while_another_has_it(desk):
    await desk.hello("w1", models=("m1",))
    await desk.hello("w2", models=("m2",))
    job = await desk.submit(model="m2")
    assert (await desk.job(job)).worker == "w2"


async def test_worker_takes_only_its_lanes(desk):
    await desk.hello("w1", lanes=("batch",))
    job = await desk.submit()
    assert (await desk.job(job)).status is JobStatus.QUEUED


async def test_nobody_is_blamed_while_the_bot_is_cut_off_nor_right_after(desk):
    await desk.hello("w1")
    job = await desk.submit()
    await desk.beat("w1", (job, 1, "sampling"))
    desk.transport.connected = False
    await desk.lapse(60)
    desk.transport.connected = True
    await desk.lapse(0)
    await desk.lapse(5)
    assert (await desk.job(job)).attempt == 1
    assert len(desk.dispatcher.workers) == 1
    await desk.lapse(20)
    assert desk.dispatcher.workers == ()


async def test_claim_that_nobody_holds_is_found_by_the_leases(desk):
    job = await desk.submit()
    await desk.jobs.claim(job, "ghost", "boot")  # as if the process had died between claim and memory
    await desk.lapse(1)
    assert (await desk.job(job)).status is JobStatus.ASSIGNED
    await desk.lapse(11)
    assert (await desk.job(job)).status is JobStatus.QUEUED


async def test_restart_adopts_what_a_worker_still_draws_and_takes_back_the_rest(tmp_path, database):
    from tests.bot.dispatch.conftest import Desk

    before = Desk(tmp_path, database)
    await before.dispatcher.start()
    await before.hello("w1")
    drawn, waiting = await before.submit(), await before.submit()
    await before.dispatcher.stop()
    after = Desk(tmp_path, database)
    await after.dispatcher.start()
    try:
        assert (await after.job(drawn)).status is JobStatus.ASSIGNED
        await after.hello("w1", running=(m.Running(job=drawn, attempt=1, phase="sampling"),), prefetch=0)
        assert (await after.job(drawn)).attempt == 1
        assert (await after.job(waiting)).status is JobStatus.QUEUED
        await after.done("w1", drawn, 1)
        assert (await after.job(drawn)).status is JobStatus.DONE
    finally:
        await after.dispatcher.stop()


async def test_new_boot_of_a_worker_blames_what_had_started(desk):
    await desk.hello("w1")
    started, prefetched = await desk.submit(), await desk.submit()
    await desk.beat("w1", (started, 1, "sampling"), (prefetched, 1, "queued"))
    await desk.hello("w1", boot="another")
    assert ((await desk.job(started)).crashes, (await desk.job(prefetched)).crashes) == (1, 0)
    assert {(await desk.job(job)).attempt for job in (started, prefetched)} == {2}


async def test_progress_of_a_late_attempt_does_not_reach_the_card(desk):
    await desk.hello("w1")
    job = await desk.submit()
    await desk.dispatcher.on_message(m.Progress(worker="w1", job=job, attempt=9, n=1, phase="sampling", step=1, of=2))
    await desk.dispatcher.on_message(m.Progress(worker="w2", job=job, attempt=1, n=1, phase="sampling", step=1, of=2))
    assert desk.seen.progress == []


async def test_failing_listener_does_not_stop_the_queue(desk):
    def broken(*_: object) -> None:
        raise RuntimeError("a bug in the card")

    desk.seen.queue_changed = desk.seen.progressed = desk.seen.ended = broken
    await desk.hello("w1")
    job = await desk.submit()
    await desk.done("w1", job, 1)
    assert (await desk.job(job)).status is JobStatus.DONE


async def test_time_that_cannot_be_learnt_does_not_hide_the_end(desk, monkeypatch):
    async def full(*_: object) -> None:
        raise StorageFullError

    monkeypatch.setattr(desk.timings, "learn", full)
    await desk.hello("w1")
    job = await desk.submit()
    await desk.done("w1", job, 1, run_s=3.0)
    assert desk.seen.ends == [job]


async def test_learnt_time_leaves_loading_out(desk):
    await desk.hello("w1")
    job = await desk.submit(steps=10)
    await desk.done("w1", job, 1, run_s=9.0, load_s=5.0)
    units = (await desk.job(job)).work_units
    assert desk.timings.estimate_s("m1", units) == pytest.approx(4.0)


async def test_source_that_cannot_be_put_now_is_tried_again(desk, monkeypatch):
    monkeypatch.setattr("bot.dispatch.handing.RETRY_S", 0.01)
    await desk.hello("w1")
    desk.transport.failing = OSError(28, "No space left on device")
    job, _ = await desk.dispatcher.submit(new_job("x"))
    async with asyncio.timeout(60):
        while len(desk.transport.assigned) < 3:
            await asyncio.sleep(0.005)
    desk.transport.failing = None
    await desk.quiet()
    assert (await desk.job(job)).status is JobStatus.ASSIGNED
    assert (await desk.job(job)).crashes == 0


async def test_job_that_can_never_be_handed_out_fails_and_the_next_goes_on(desk):
    desk.transport.failing = LookupError("no such source")
    await desk.hello("w1")
    broken = await desk.submit()
    assert (await desk.job(broken)).status is JobStatus.FAILED
    assert desk.seen.ends == [broken]
    desk.transport.failing = None
    assert (await desk.job(await desk.submit())).status is JobStatus.ASSIGNED


async def test_row_of_another_version_fails_alone(desk):
    broken = await desk.submit()
    async with desk.database.write() as tx:
        await tx.execute('UPDATE jobs SET spec = \'{"kind": "video"}\' WHERE id = ?', (broken,))
    fine = await desk.submit()
    await desk.hello("w1")
    assert (await desk.job(fine)).status is JobStatus.ASSIGNED
    row = await desk.database.one("SELECT status, failure_kind FROM jobs WHERE id = ?", (broken,))
    assert tuple(row) == ("failed", "other")


async def test_silent_worker_does_not_keep_the_others_waiting(desk):
    release = asyncio.Event()
    ordinary = desk.transport.assign

    async def slow(worker: str, message: m.Assign) -> bool | None:
        if worker == "w1":
            await release.wait()
        return await ordinary(worker, message)

    desk.transport.assign = slow
    await desk.hello("w1", prefetch=0)
    stuck, _ = await desk.dispatcher.submit(new_job("x"))
    async with asyncio.timeout(60):
        while not desk.dispatcher._floor.sends:
            await asyncio.sleep(0.005)
    desk.held_back = set(desk.dispatcher._floor.sends)
    await desk.hello("w2")
    moving = await desk.submit()
    assert [a.job for a in desk.transport.assigned] == [moving]
    release.set()
    desk.held_back = set()
    await desk.quiet()
    assert (await desk.job(stuck)).status is JobStatus.ASSIGNED


async def test_every_task_is_named_and_none_is_left(desk):
    await desk.hello("w1")
    await desk.submit()
    names = {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    assert {"dispatcher-pump", "dispatcher-leases"} <= names
    await desk.dispatcher.stop()
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and "dispatch" in t.get_name()]
    assert left == []
    gc.collect()


async def test_stored_source_is_put_for_the_worker_and_a_missing_one_is_drawn_again(desk, tmp_path):
    await desk.hello("w1")
    first = await desk.submit(count=2)
    await desk.done("w1", first, 1, b"the picture")
    (picture,) = await desk.images.of_job(first)
    address = StoredSource(image=ImageRef(ref=f"image:{picture.id}", sha256="0", mime="image/png", size_bytes=1))
    new = new_job("x")
    second_spec = new.task.model_copy(update={"hires": Hires(source=address)})
    await desk.dispatcher.submit(_with(new, second_spec))
    await desk.quiet()
    assert desk.transport.inputs == [b"the picture"]
    assert desk.transport.assigned[-1].spec.hires.source.image.size_bytes == len(b"the picture")
    await desk.done("w1", desk.transport.assigned[-1].job, 1)
    desk.images.file(picture).unlink()
    await desk.dispatcher.submit(_with(new_job("x"), second_spec))
    await desk.quiet()
    source = desk.transport.assigned[-1].spec.hires.source
    assert isinstance(source, RenderedSource)
    assert (source.spec.seed, source.spec.count) == (picture.seed, 1)


async def test_a_given_picture_and_its_mask_are_put_for_the_worker(desk, tmp_path):
    await desk.hello("w1")
    inputs = InputPictures(desk.database, tmp_path / "inputs")
    image, mask = await inputs.keep(b"the picture", "image/png"), await inputs.keep(b"the mask", "image/png")
    spec = Img2Img(prompt="x", checkpoint="m1", width=64, height=64, seed=7, image=image, mask=Mask(image=mask, blur=2))
    job, _ = await desk.dispatcher.submit(_with(new_job("x"), spec))
    await desk.quiet()
    # The table keeps our own address; only what is handed out has the transport's.
    assert (await desk.job(job)).spec == spec
    given = desk.transport.assigned[-1].spec
    assert desk.transport.inputs == [b"the picture", b"the mask"]
    assert (given.image.ref, given.mask.image.ref, given.mask.blur) == (image.sha256, mask.sha256, 2)
    await desk.done("w1", job, 1, b"drawn")
    # What was drawn from it is no recipe to begin with, so without its file a second pass over it ends.
    (picture,) = await desk.images.of_job(job)
    address = StoredSource(image=ImageRef(ref=f"image:{picture.id}", sha256="0", mime="image/png", size_bytes=1))
    desk.images.file(picture).unlink()
    enlarged = new_job("x").task.model_copy(update={"hires": Hires(source=address)})
    lost, _ = await desk.dispatcher.submit(_with(new_job("x"), enlarged))
    for file in (tmp_path / "inputs").rglob("*"):
        if file.is_file():
            file.unlink()
    gone, _ = await desk.dispatcher.submit(_with(new_job("x"), spec))
    await desk.quiet()
    for failed in (lost, gone):
        found = await desk.job(failed)
        assert (found.status, found.failure_kind) == (JobStatus.FAILED, "bad_input")
        assert found.failure_detail == {"reason": "source_gone"}


def _with(new, spec):
    from dataclasses import replace

    return replace(new, task=spec)


async def test_standings_are_shared_and_follow_the_queue(desk):
    await desk.hello("w1", prefetch=0)
    jobs = [await desk.submit(user=n) for n in range(5)]
    await desk.beat("w1", (jobs[0], 1, "sampling"))
    many = await asyncio.gather(*(desk.dispatcher.standings() for _ in range(50)))
    assert all(found is many[0] for found in many)
    await desk.dispatcher.cancel(jobs[1], UserId(1))
    standings = await desk.dispatcher.standings()
    assert jobs[1] not in standings
    assert [standings[job].position for job in (jobs[0], *jobs[2:])] == [0, 1, 2, 3]
    assert {standing.waiting for standing in standings.values()} == {3}


async def test_a_job_whose_worker_still_loads_promises_no_time(desk):
    await desk.hello("w1", prefetch=1)
    first, second = [await desk.submit(user=n) for n in range(2)]
    standings = await desk.dispatcher.standings()
    assert (standings[first].loading, standings[second].loading) == (True, False)
    assert standings[first].eta_s is None
    model = (await desk.jobs.get(first)).model
    await desk.dispatcher.on_message(
        m.Heartbeat(
            worker="w1", boot="boot of w1", running=(m.Running(job=first, attempt=1, phase="queued"),), loaded=model
        )
    )
    assert not (await desk.dispatcher.standings())[first].loading


async def test_partial_result_is_kept_once_with_the_state_to_go_on_from(desk):
    await desk.hello("w1")
    job = await desk.submit()
    for _ in range(2):
        await desk.dispatcher.on_message(m.Partial(worker="w1", job=job, attempt=1, n=1, state=b"half way"))
    rows = await desk.database.all("SELECT n FROM partials WHERE job_id = ?", (job,))
    assert len(rows) == 1
    assert len(desk.transport.taken_parts) == 2
    await desk.dispatcher.on_gone(_gone("w1"))
    await desk.hello("w1", boot="another")
    assert desk.transport.assigned[-1].resume == b"half way"


def _gone(worker: str):
    from bot.dispatch.transport import WorkerGone

    return WorkerGone(worker, "its process ended with 1")


async def crash(desk, worker: str, job: str, attempt: int) -> None:
    await desk.dispatcher.on_message(m.Failed(worker=worker, job=job, attempt=attempt, kind="crash", retryable=True))
    await desk.quiet()


async def test_a_job_that_failed_on_one_card_is_tried_on_another(desk):
    await desk.hello("w1")
    job = await desk.submit()
    await desk.beat("w1", (job, 1, "sampling"))
    await desk.hello("t1", lanes=("training",))  # never gets it
    await crash(desk, "w1", job, 1)
    assert desk.transport.assigned[-1].worker == "w1"  # nobody else there
    await desk.hello("w2")
    await desk.beat("w1", (job, 2, "sampling"))
    await crash(desk, "w1", job, 2)
    assert (desk.transport.assigned[-1].worker, desk.transport.assigned[-1].attempt) == ("w2", 3)
    assert (await desk.job(await desk.submit())).status is JobStatus.ASSIGNED
    assert desk.transport.assigned[-1].worker == "w1"  # which is no worse for others


async def test_a_job_whose_worker_vanished_is_tried_on_another_that_is_busy(desk):
    await desk.hello("w1")
    await desk.hello("w2")
    first, second = await desk.submit(), await desk.submit()
    holder = {message.job: message.worker for message in desk.transport.assigned}
    await desk.beat(holder[first], (first, 1, "sampling"))
    await desk.hello(holder[first], boot="another")
    waiting = await desk.job(first)
    assert waiting.crashes == 1
    later = [message for message in desk.transport.assigned if message.job == first and message.attempt == 2]
    assert [message.worker for message in later] == [holder[second]]
    await desk.done(holder[second], first, 2)
    assert not desk.dispatcher._floor.trust.is_for_others(holder[first], first)  # nothing is kept of what is over
