"""The job table: every change is guarded and says whether it acted."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.ids import JobId, MessageId, UserId
from bot.domain.job import JobStatus, Lane, TokenGrant
from bot.storage.database import open_database
from bot.storage.jobs import Jobs
from tests.contract.farm import new_job

LOSS = {"failure_kind": "crash", "failure_detail": "{}", "reference": "r"}


async def lose(
    jobs: Jobs, job_id: JobId, attempt: int, *, blamed: bool = True, outcome: str = "crashed"
) -> JobStatus | None:
    return await jobs.lose(job_id, attempt, blamed=blamed, outcome=outcome, max_crashes=3, failure=LOSS)


async def status(jobs: Jobs, job_id: JobId) -> JobStatus:
    job = await jobs.get(job_id)
    assert job is not None
    return job.status


async def test_job_comes_back_as_it_was_given(jobs):
    new = new_job("a cat", user=3, model="m2", lane=Lane.BATCH, interaction=9)
    job_id, added = await jobs.add(new)
    job = await jobs.get(job_id)
    assert added
    assert (job.spec, job.user_id, job.lane, job.status, job.attempt) == (new.task, 3, Lane.BATCH, JobStatus.QUEUED, 0)
    await jobs.set_message(job_id, MessageId(77))
    await jobs.set_grant(job_id, TokenGrant("token", 12.5))
    job = await jobs.by_message(77)
    assert (job.id, job.grant) == (job_id, TokenGrant("token", 12.5))
    await jobs.set_grant(job_id, None)
    assert (await jobs.get(job_id)).grant is None


async def test_a_job_that_cannot_be_read_is_none(jobs, database, caplog):
    new = new_job("a cat")
    await jobs.add(new)
    await jobs.set_message(new.id, MessageId(77))
    async with database.write() as tx:
        await tx.execute("UPDATE jobs SET spec = '{}'")
    assert await jobs.get(new.id) is None
    assert await jobs.by_message(77) is None
    assert "cannot be read" in caplog.text


async def test_largest_seed_survives(jobs):
    new = new_job("x")
    from dataclasses import replace

    new = replace(new, task=new.task.model_copy(update={"seed": 2**64 - 1}))
    await jobs.add(new)
    assert (await jobs.get(new.id)).spec.seed == 2**64 - 1


async def test_same_interaction_at_the_same_moment_is_one_job(jobs):
    answers = await asyncio.gather(*(jobs.add(new_job("x", interaction=5)) for _ in range(10)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert sum(added for _, added in answers) == 1


async def test_one_of_many_claims_wins(jobs):
    job_id, _ = await jobs.add(new_job("x"))
    claims = await asyncio.gather(*(jobs.claim(job_id, f"w{n}", "boot") for n in range(8)))
    (job,) = [claim for claim in claims if claim]
    assert (job.attempt, job.status) == (1, JobStatus.ASSIGNED)


async def test_cancel_and_claim_at_the_same_moment_never_both_win(jobs):
    for _ in range(10):
        job_id, _ = await jobs.add(new_job("x"))
        claim, cancelled = await asyncio.gather(jobs.claim(job_id, "w1", "b"), jobs.ask_cancel(job_id, UserId(1)))
        assert (claim is None) == (cancelled is JobStatus.CANCELLED)


async def test_lost_attempt_is_fenced_by_its_number(jobs):
    job_id, _ = await jobs.add(new_job("x"))
    await jobs.claim(job_id, "w1", "b")
    assert await lose(jobs, job_id, 2) is None
    assert await lose(jobs, job_id, 1) is JobStatus.QUEUED
    assert await lose(jobs, job_id, 1) is None  # once only
    assert (await jobs.get(job_id)).crashes == 1


async def test_third_blamed_loss_fails_the_job_in_the_same_transaction(jobs):
    job_id, _ = await jobs.add(new_job("x"))
    for attempt in (1, 2, 3):
        assert (await jobs.claim(job_id, "w1", "b")).attempt == attempt
        outcome = await lose(jobs, job_id, attempt)
    assert outcome is JobStatus.FAILED
    job = await jobs.get(job_id)
    assert (job.failure_kind, job.reference, job.crashes) == ("crash", "r", 3)
    assert await jobs.claim(job_id, "w1", "b") is None


async def test_unblamed_losses_never_fail_a_job(jobs):
    job_id, _ = await jobs.add(new_job("x"))
    for attempt in range(1, 8):
        await jobs.claim(job_id, "w1", "b")
        assert await lose(jobs, job_id, attempt, blamed=False, outcome="lost") is JobStatus.QUEUED


async def test_loss_of_a_job_that_was_to_be_cancelled_cancels_it(jobs):
    job_id, _ = await jobs.add(new_job("x"))
    await jobs.claim(job_id, "w1", "b")
    assert await jobs.ask_cancel(job_id, UserId(4)) is JobStatus.ASSIGNED
    assert await lose(jobs, job_id, 1) is JobStatus.CANCELLED
    assert (await jobs.get(job_id)).cancel_by == 4


async def test_only_a_silent_attempt_of_the_same_worker_is_taken_up_again(jobs):
    job_id, _ = await jobs.add(new_job("x"))
    await jobs.claim(job_id, "w1", "b")
    await lose(jobs, job_id, 1, outcome="silent")
    assert await jobs.readopt(job_id, 1, "w2") is None
    assert await jobs.readopt(job_id, 2, "w1") is None
    job = await jobs.readopt(job_id, 1, "w1")
    assert (job.status, job.attempt, job.worker, job.crashes) == (JobStatus.ASSIGNED, 1, "w1", 0)
    assert await jobs.readopt(job_id, 1, "w1") is None
    await lose(jobs, job_id, 1, outcome="crashed")
    assert await jobs.readopt(job_id, 1, "w1") is None
    await jobs.claim(job_id, "w1", "b")
    await lose(jobs, job_id, 2, outcome="silent")
    await jobs.claim(job_id, "w2", "b")
    assert await jobs.readopt(job_id, 2, "w1") is None  # somebody else has begun


async def test_untold_ends_are_found_until_they_are_told(jobs):
    done, failed, cancelled, waiting = [(await jobs.add(new_job("x")))[0] for _ in range(4)]
    await jobs.transition(done, (JobStatus.QUEUED,), JobStatus.DONE)
    await jobs.transition(failed, (JobStatus.QUEUED,), JobStatus.FAILED)
    await jobs.ask_cancel(cancelled, UserId(1))
    assert [job.id for job in await jobs.untold()] == [done, failed, cancelled]
    await jobs.told(failed)
    await jobs.told(cancelled)
    assert await jobs.transition(done, (JobStatus.DONE,), JobStatus.DELIVERED)
    assert not await jobs.transition(done, (JobStatus.DONE,), JobStatus.DELIVERED)
    assert await jobs.untold() == []
    assert [row.id for row in await jobs.queue()] == [waiting]
    assert await jobs.count_waiting_of(UserId(1)) == 1


async def test_row_that_cannot_be_read_hides_no_other(jobs, database):
    broken, fine = (await jobs.add(new_job("x")))[0], (await jobs.add(new_job("x")))[0]
    async with database.write() as tx:
        await tx.execute("UPDATE jobs SET spec = '{}' WHERE id = ?", (broken,))
    assert [job.id for job in await jobs.in_status(JobStatus.QUEUED)] == [fine]


async def test_job_id_must_fit_a_nonce(jobs):
    from dataclasses import replace

    with pytest.raises(sqlite3.IntegrityError):
        await jobs.add(replace(new_job("x"), id=JobId("x" * 26)))


async def test_use_is_counted_by_lane_and_user(jobs):
    for user, lane, seconds in ((1, Lane.INTERACTIVE, 5.0), (1, Lane.BATCH, 7.0), (2, Lane.INTERACTIVE, 2.0)):
        job_id, _ = await jobs.add(new_job("x", user=user, lane=lane))
        await jobs.transition(job_id, (JobStatus.QUEUED,), JobStatus.DONE, finished_at=100.0, run_s=seconds)
    assert await jobs.recent_use(50.0) == {
        (Lane.INTERACTIVE, 1): 5.0, (Lane.BATCH, 1): 7.0, (Lane.INTERACTIVE, 2): 2.0
    }  # fmt: skip
    assert await jobs.recent_use(200.0) == {}


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(["claim", "lose", "silent", "readopt", "cancel", "done", "fail"]), max_size=25))
def test_any_series_of_calls_keeps_the_states_in_order(tmp_path_factory, calls):
    """Terminal is terminal, attempts only grow, and exactly the acting call says so."""

    async def play() -> None:
        database = await open_database(tmp_path_factory.mktemp("jobs") / "pincel.sqlite")
        try:
            jobs = Jobs(database)
            job_id, _ = await jobs.add(new_job("x"))
            attempt = 0
            for call in calls:
                before = await jobs.get(job_id)
                match call:
                    case "claim":
                        acted = await jobs.claim(job_id, "w1", "b") is not None
                    case "lose" | "silent":
                        acted = await lose(jobs, job_id, before.attempt, outcome=call) is not None
                    case "readopt":
                        acted = await jobs.readopt(job_id, before.attempt, "w1") is not None
                    case "cancel":
                        acted = await jobs.ask_cancel(job_id, UserId(1)) is not before.status
                    case "done":
                        waiting = (JobStatus.QUEUED, JobStatus.ASSIGNED)
                        acted = await jobs.transition(job_id, waiting, JobStatus.DONE)
                    case _:
                        acted = await jobs.transition(
                            job_id, (JobStatus.ASSIGNED,), JobStatus.FAILED, attempt=before.attempt
                        )
                after = await jobs.get(job_id)
                assert acted == (after.status is not before.status)
                assert before.status.waiting or not acted
                assert after.attempt >= attempt
                attempt = after.attempt
        finally:
            await database.close()

    asyncio.run(play())
