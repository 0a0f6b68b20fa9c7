"""A machine's agent outlives the process that draws: what dies, or falls silent, and who is told what."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from bot.domain.job import JobStatus
from gpu_worker.outbox import OutFile, WorkerOutbox
from gpu_worker.protocol import messages as m
from tests.contract.farm import Farm, open_farm
from tests.contract.kits import CONTINUE, KILL, STOP
from tests.contract.nats_kit import NatsKit, agent_pid_file, child_pid_file, outbox_of, sent
from tests.contract.stub_engine import picture_bytes
from tests.contract.test_silence import needs_stop


@pytest.fixture
def kit(broker, tmp_path):
    """Machines alone: a bot's own children have no agent."""
    kit = NatsKit()
    yield kit
    kit.clear(tmp_path)


def child_of(farm: Farm, worker: str, number: int) -> bool:
    return sent(child_pid_file(farm.root, worker), number)


def agent_of(farm: Farm, worker: str, number: int) -> bool:
    return sent(agent_pid_file(farm.root, worker), number)


async def attempts(farm: Farm, job: str) -> list[tuple[int, str]]:
    rows = await farm.database.all("SELECT attempt, outcome FROM attempts WHERE job_id = ? ORDER BY attempt", (job,))
    return [(row["attempt"], row["outcome"]) for row in rows]


async def until_drawn(farm: Farm, label: str) -> None:
    async with asyncio.timeout(60):
        while not farm.journal()[f"end {label}"]:
            await asyncio.sleep(0.01)


async def test_crash_of_the_process_that_draws_is_told_at_once_and_the_rest_goes_to_the_next(farm, caplog):
    """No lease runs out for it, the worker never goes, and what had not begun is not given back."""
    first, second = await farm.submit("label:a sleep:1"), await farm.submit("label:b sleep:0.1")
    await farm.running(first)
    (view,) = farm.dispatcher.workers
    async with asyncio.timeout(60):
        while second not in view.assigned:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)  # it reaches the process, too
    assert child_of(farm, "w1", KILL)
    assert await farm.ended([first, second]) == [JobStatus.DONE] * 2
    assert await attempts(farm, first) == [(1, "failed"), (2, "done")]
    assert await attempts(farm, second) == [(1, "done")]
    assert (await farm.job(first)).crashes == 1
    assert (farm.journal()["start a"], farm.journal()["start b"]) == (2, 1)
    assert [each is view for each in farm.dispatcher.workers] == [True]
    assert re.search(r"attempt 1: failed \(it ended with -?\d+\)", caplog.text)  # it had no last words
    await farm.check_delivered_once([first, second])
    await farm.settled(["w1"])


async def test_a_new_process_reads_what_the_last_one_had_in_memory(farm):
    """Else the next job, which goes there as to one that has nothing to do, waits for it."""
    await farm.ended([await farm.submit("label:a", model="m2")])
    (view,) = farm.dispatcher.workers

    async def until_loaded(model: str | None) -> None:
        async with asyncio.timeout(60):
            while view.loaded != model:
                await asyncio.sleep(0.01)

    await until_loaded("m2")
    assert child_of(farm, "w1", KILL)
    await until_loaded(None)
    await until_loaded("m2")


@needs_stop
async def test_heartbeat_goes_on_for_a_process_that_is_stopped_and_its_job_stays_its_own(farm):
    job = await farm.submit("label:x sleep:0.6")
    await farm.running(job)
    assert child_of(farm, "w1", STOP)
    await asyncio.sleep(1.8)  # nearly two leases
    assert len(farm.dispatcher.workers) == 1
    assert (await farm.job(job)).status is JobStatus.ASSIGNED
    assert child_of(farm, "w1", CONTINUE)
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert await attempts(farm, job) == [(1, "done")]


@needs_stop
async def test_process_that_stays_silent_is_killed_and_its_job_is_tried_again(farm):
    job = await farm.submit("label:x sleep:0.6")
    await farm.running(job)
    assert child_of(farm, "w1", STOP)
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert await attempts(farm, job) == [(1, "failed"), (2, "done")]
    await farm.check_delivered_once([job])


async def test_picture_is_finished_though_the_agent_dies_and_the_next_agent_delivers_it(tmp_path, kit):
    async with open_farm(tmp_path, kit) as farm:
        await farm.workers_ready()
        job = await farm.submit("label:x sleep:0.5")
        await farm.running(job)
        assert agent_of(farm, "w1", KILL)
        assert await farm.ended([job]) == [JobStatus.DONE]
        await farm.check_delivered_once([job])
        assert farm.journal()["start x"] == 1
        await farm.settled(["w1"])
        more = await farm.submit("label:y")
        await farm.ended([more])


async def test_result_that_was_only_on_the_disk_of_a_killed_machine_is_delivered_by_its_next_life(farm):
    """The machine dies between the child's last write and the agent's first."""
    job = await farm.submit("label:x sleep:0.3")
    await farm.running(job)
    assert agent_of(farm, "w1", STOP)
    await until_drawn(farm, "x")
    async with asyncio.timeout(60):
        while not list((outbox_of(farm.root, "w1") / "w1").glob("*.fin")):
            await asyncio.sleep(0.01)
    assert agent_of(farm, "w1", KILL)
    assert child_of(farm, "w1", KILL)
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert farm.journal()["start x"] == 1
    await farm.check_delivered_once([job])


@needs_stop
async def test_end_that_lies_in_the_outbox_is_no_crash_though_the_process_died_before_it_said_so(farm):
    job = await farm.submit("label:x sleep:0.6")
    await farm.running(job)
    assert child_of(farm, "w1", STOP)
    drawn = picture_bytes("x", 7)
    told = m.Output(
        blob="", size_bytes=len(drawn), sha256=hashlib.sha256(drawn).hexdigest(), mime="image/png", width=64, height=64,
        seed=7, infotext="seed 7",
    )  # fmt: skip
    box = WorkerOutbox(outbox_of(farm.root, "w1") / "w1", shared=True)
    box.store(m.Done(job=job, attempt=1, outputs=()), [OutFile(drawn, told)])
    assert child_of(farm, "w1", KILL)
    assert await farm.ended([job]) == [JobStatus.DONE]
    assert await attempts(farm, job) == [(1, "done")]
    await farm.check_delivered_once([job])


async def test_cancel_of_a_job_that_waits_for_the_next_process_is_carried_out(farm):
    first, second = await farm.submit("label:a sleep:0.4"), await farm.submit("label:b sleep:5")
    await farm.running(first)
    (view,) = farm.dispatcher.workers
    async with asyncio.timeout(60):
        while second not in view.assigned:
            await asyncio.sleep(0.01)
    assert child_of(farm, "w1", KILL)
    async with asyncio.timeout(60):
        while not view.draining:
            await asyncio.sleep(0.005)
    await farm.dispatcher.cancel(second, 1)
    assert await farm.ended([first, second]) == [JobStatus.DONE, JobStatus.CANCELLED]
    await farm.settled(["w1"])


async def test_process_that_dies_while_it_waits_for_room_leaves_no_job_behind(farm):
    """What it had drawn is lost with it, and drawn again."""
    first, second = await farm.submit("label:a sleep:0.4"), await farm.submit("label:b sleep:0.1")
    await farm.running(first)
    (view,) = farm.dispatcher.workers
    async with asyncio.timeout(60):
        while second not in view.assigned:
            await asyncio.sleep(0.01)
    box = farm.kit.box(farm.root, "w1")
    shutil.rmtree(box)
    box.write_text("where the folder was")  # every write below it fails now, for root as well
    await until_drawn(farm, "b")
    await asyncio.sleep(0.3)  # heartbeats say that both wait to be stored
    assert child_of(farm, "w1", KILL)
    async with asyncio.timeout(60):
        while not view.draining:
            await asyncio.sleep(0.01)
    box.unlink()
    assert await farm.ended([first, second]) == [JobStatus.DONE] * 2
    assert await attempts(farm, first) == [(1, "cancelled"), (2, "done")]
    assert await attempts(farm, second) == [(1, "failed"), (2, "done")]
    await farm.check_delivered_once([first, second])
    await farm.settled(["w1"])


async def test_cancel_that_cannot_be_written_yet_keeps_no_other_command_waiting(farm):
    first, second = await farm.submit("label:a sleep:0.4"), await farm.submit("label:b sleep:5")
    await farm.running(first)
    (view,) = farm.dispatcher.workers
    async with asyncio.timeout(60):
        while second not in view.assigned:
            await asyncio.sleep(0.01)
    box = farm.kit.box(farm.root, "w1")
    shutil.rmtree(box)
    box.write_text("where the folder was")
    assert child_of(farm, "w1", KILL)
    async with asyncio.timeout(60):
        while not view.draining:
            await asyncio.sleep(0.01)
    await farm.dispatcher.cancel(second, 1)
    again = m.Assign(job=first, attempt=1, spec=(await farm.job(first)).spec)
    heard = [await farm.transport.assign("w1", again) for _ in range(3)]
    box.unlink()
    assert True in heard
    assert await farm.ended([first, second]) == [JobStatus.DONE, JobStatus.CANCELLED]
    await farm.settled(["w1"])


async def test_told_to_end_it_finishes_what_it_draws_and_gives_the_rest_back_at_once(two):
    first, second = await two.submit("label:a sleep:2.5"), await two.submit("label:b sleep:1")
    for job in (first, second):
        await two.running(job)
    rest = [await two.submit(f"label:r{n} sleep:0.1") for n in range(2)]
    async with asyncio.timeout(60):
        while any([(await two.job(job)).status is not JobStatus.ASSIGNED for job in rest]):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)  # they reach the processes, too
    ends = {p.job: p.worker for p in two.seen.progress}[first]
    pid = int(agent_pid_file(two.root, ends).read_text())
    assert agent_of(two, ends, signal.SIGTERM)
    await two.ended([first, second, *rest])
    await two.check_delivered_once([first, second, *rest])
    assert two.journal()["start a"] == 1, "what was being drawn is drawn again"
    outcomes = [await attempts(two, job) for job in rest]
    assert sorted(map(len, outcomes)) == [1, 2]
    assert [(1, "cancelled"), (2, "done")] in outcomes
    assert two.seen.ends[-1] == first, "what it held was given back only when its picture was done"
    assert [(await two.job(job)).crashes for job in rest] == [0, 0]
    until = time.monotonic() + 60
    while _lives(pid) and time.monotonic() < until:
        await asyncio.sleep(0.02)
    assert not _lives(pid)


async def test_told_twice_to_end_it_ends_at_once(farm):
    job = await farm.submit("label:x sleep:20")
    await farm.running(job)
    pid, child = (int(path(farm.root, "w1").read_text()) for path in (agent_pid_file, child_pid_file))
    for _ in range(2):
        os.kill(pid, signal.SIGINT)
        await asyncio.sleep(0.1)
    async with asyncio.timeout(4):  # well before the grace of 6 s, and the picture's 20
        while _lives(pid) or _lives(child):
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_random_kills_of_agents_and_children_lose_nothing_and_double_nothing(two, seed):
    chance = random.Random(seed)
    jobs = [await two.submit("sleep:0.05", user=n % 5) for n in range(40)]
    kills = 0
    ends = asyncio.ensure_future(two.ended(jobs))
    while not ends.done() and kills < 8:
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        if any([(await two.job(job)).crashes == 2 for job in jobs]):
            continue  # a third start that kills would be the job's own fault, and fail it
        whom = chance.choice((child_of, agent_of, two.kit.signal))
        kills += whom(*((two.transport,) if whom == two.kit.signal else (two,)), chance.choice(("w1", "w2")), KILL)
    await ends
    await two.check_delivered_once(jobs)
    await two.settled(("w1", "w2"))
    again = sum(two.journal()[f"start {job}"] - 1 for job in jobs)
    assert again <= 2 * kills, "more was drawn again than was running"


def _lives(pid: int) -> bool:
    """Also not once it is dead and nobody has asked for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
