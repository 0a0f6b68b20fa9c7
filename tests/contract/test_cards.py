"""A machine of several cards: one agent in this process, and a child for each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.job import JobStatus
from gpu_worker.agent.agent import Agent
from gpu_worker.outbox import OutFile, WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.nats.subjects import worker_name
from tests.contract.farm import LEASES, Farm, open_farm
from tests.contract.kits import KILL
from tests.contract.nats_kit import ADDRESS, LINK_TIMES, Broker, NatsKit, child_pid_file, outbox_of, sent, subjects_of
from tests.contract.stub_agent import TIMES, child_command, places_of
from tests.contract.stub_engine import picture_bytes


@contextlib.asynccontextmanager
async def machine(
    root: Path, url: str, *commands: ChildCommand, home: str = "garage", **times: float
) -> AsyncGenerator[Agent]:
    """`home`: another folder, as another computer has one."""
    agent = Agent(
        url, "garage", commands=commands, outbox=outbox_of(root, home), places=places_of(root, home),
        subjects=subjects_of(root), times=replace(TIMES, **times), link_times=LINK_TIMES,
    )  # fmt: skip
    running = asyncio.create_task(agent.run(), name="machine")
    try:
        yield agent
    finally:
        if not running.done():
            agent.stop()
            agent.stop()
        await running


class _Without(NatsKit):
    """Its machine is started by the test."""

    def make(self, root, names):
        return super().make(root, ())

    def box(self, root, worker):
        return outbox_of(root, "garage") / worker


@pytest.fixture
async def farm(broker, tmp_path):
    """A bot without workers of its own."""
    (tmp_path / "keepers").mkdir()
    async with open_farm(tmp_path, _Without()) as opened:
        yield opened


@pytest.fixture
def url(broker) -> str:
    return os.environ[ADDRESS]


async def until(is_so) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.01)


def card(farm: Farm, number: int) -> ChildCommand:
    """Its child writes its number where that of this worker is looked for."""
    command = child_command(farm.root, "garage")
    first, own = (str(child_pid_file(farm.root, worker_name("garage", each))) for each in (1, number))
    return replace(command, argv=tuple(own if word == first else word for word in command.argv))


async def test_each_card_is_a_worker_and_one_that_dies_takes_nothing_from_the_other(farm, url):
    async with machine(farm.root, url, card(farm, 1), card(farm, 2)):
        await farm.workers_ready(2)
        views = {view.name: view for view in farm.dispatcher.workers}
        assert set(views) == {"garage", "garage.2"}
        assert {view.hello.machine for view in views.values()} == {"garage"}
        first, second = await farm.submit("label:a sleep:0.6"), await farm.submit("label:b sleep:0.6")
        for job in (first, second):
            await farm.running(job)
        drawn_by = {p.job: p.worker for p in farm.seen.progress}
        assert set(drawn_by.values()) == {"garage", "garage.2"}
        assert sent(child_pid_file(farm.root, drawn_by[first]), KILL)
        assert await farm.ended([first, second]) == [JobStatus.DONE] * 2
        assert (farm.journal()["start a"], farm.journal()["start b"]) == (2, 1)
        await farm.check_delivered_once([first, second])
        await farm.settled(["garage", "garage.2"])


async def test_results_of_a_card_that_serves_no_longer_are_delivered_all_the_same(farm, url, caplog):
    """And those of another name stay: this machine's key may not deliver them."""
    async with machine(farm.root, url, card(farm, 1), card(farm, 2)):
        await farm.workers_ready(2)
        jobs = [await farm.submit("label:a sleep:1"), await farm.submit("label:b sleep:1")]
        for job in jobs:
            await farm.running(job)
        late = next(p.job for p in farm.seen.progress if p.worker == "garage.2")
    drawn = picture_bytes("ab"[jobs.index(late)], 7)
    told = m.Output(
        blob="", size_bytes=len(drawn), sha256=hashlib.sha256(drawn).hexdigest(), mime="image/png", width=64, height=64,
        seed=7, infotext="seed 7",
    )  # fmt: skip
    for name in ("garage.2", "attic"):
        box = WorkerOutbox(outbox_of(farm.root, "garage") / name, shared=True)
        box.store(m.Done(job=late, attempt=1, outputs=()), [OutFile(drawn, told)])
    async with machine(farm.root, url, card(farm, 1)):
        assert await farm.ended(jobs) == [JobStatus.DONE] * 2
        await farm.check_delivered_once(jobs)
        await farm.settled(["garage.2"])
    assert (farm.kit.box(farm.root, "attic") / f"{late}.1.fin").exists()
    assert "joins as attic again" in caplog.text


async def test_two_machines_with_one_invite_do_not_take_each_others_jobs_for_lost(farm, url, caplog, monkeypatch):
    """The later one is served, and the other again once that is gone."""
    mine, other = (str(outbox_of(farm.root, home)) for home in ("garage", "attic"))
    command = card(farm, 2)
    elsewhere = replace(command, argv=tuple(other if word == mine else word for word in command.argv))
    async with machine(farm.root, url, card(farm, 1)):
        await farm.workers_ready(1)
        (first,) = farm.dispatcher.workers
        async with machine(farm.root, url, elsewhere, home="attic"):
            await until(lambda: "same invite" in caplog.text)
            said: list[m.ToWorker] = []
            send = farm.transport.send

            async def counted(worker: str, message: m.ToWorker) -> None:
                said.append(message)
                await send(worker, message)

            monkeypatch.setattr(farm.transport, "send", counted)
            await asyncio.sleep(1)
            assert 2 <= len(said) <= 20, "about one for each heartbeat of 0.1 s"
            jobs = [await farm.submit("sleep:0.3", user=n) for n in range(4)]
            assert await farm.ended(jobs) == [JobStatus.DONE] * 4
            assert [(await farm.job(job)).attempt for job in jobs] == [1] * 4
            assert [farm.journal()[f"start {job}"] for job in jobs] == [1] * 4
        job = await farm.submit("sleep:0.1")
        assert await farm.ended([job]) == [JobStatus.DONE]
        assert [view.boot for view in farm.dispatcher.workers] == [first.boot]
    assert caplog.text.count("two machines have joined as garage") == 1


async def test_told_to_end_while_the_broker_is_away_it_ends_and_its_next_start_delivers(broker, tmp_path):
    own = Broker(tmp_path / "broker")
    (tmp_path / "keepers").mkdir()
    try:
        async with open_farm(tmp_path, _Without(own.url), leases=replace(LEASES, lease_s=20.0)) as farm:
            async with machine(tmp_path, own.url, card(farm, 1), grace_s=20.0, close_s=1.0) as agent:
                await farm.workers_ready(1)
                jobs = [await farm.submit("label:a sleep:1"), await farm.submit("label:b sleep:1")]
                await farm.running(jobs[0])
                own.kill()
                agent.stop()
                (running,) = (task for task in asyncio.all_tasks() if task.get_name() == "machine")
                async with asyncio.timeout(60):
                    await asyncio.shield(running)
                assert not agent.hurried
            assert (farm.journal()["end a"], farm.journal()["start b"]) == (1, 0)
            own.start()
            async with machine(tmp_path, own.url, card(farm, 1)):
                assert await farm.ended(jobs) == [JobStatus.DONE] * 2
                assert farm.journal()["start a"] == 1, "what was drawn is drawn again"
                await farm.check_delivered_once(jobs)
                await farm.settled(["garage"])
    finally:
        own.kill()


async def test_machine_whose_disk_cannot_be_asked_joins_all_the_same(farm, url, monkeypatch):
    def broken(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("gpu_worker.agent.shelf.shutil.disk_usage", broken)
    async with machine(farm.root, url, card(farm, 1)):
        await farm.workers_ready(1)
        assert farm.dispatcher.workers[0].hello.models_room_mb is None
        assert await farm.ended([await farm.submit("label:x")]) == [JobStatus.DONE]


async def test_card_whose_process_cannot_start_keeps_nobody_waiting_and_says_why(farm, url, caplog):
    """The machine's other card serves on."""
    dead = ChildCommand(
        argv=(sys.executable, "-c", "import sys; print('no driver', file=sys.stderr); sys.exit(75)"),
        log_file=farm.root / "dead.log",
    )
    with caplog.at_level(logging.ERROR):
        async with machine(farm.root, url, dead, card(farm, 2)):
            await farm.workers_ready(1)
            jobs = [await farm.submit("sleep:0.05") for _ in range(4)]
            assert await farm.ended(jobs) == [JobStatus.DONE] * 4
            assert {p.worker for p in farm.seen.progress} == {"garage.2"}
    assert "ended with 75: no driver" in caplog.text


@pytest.mark.parametrize(("program", "down_s"), [("import time; time.sleep(60)", 0.5), ("raise SystemExit(75)", 90.0)])
async def test_jobs_of_a_card_that_does_not_come_back_go_to_others(farm, url, program, down_s):
    """What had not begun when its process died, and waits for the next, which never says a word, or cannot start."""
    command = card(farm, 1)
    async with machine(farm.root, url, command, down_s=down_s) as agent:
        await farm.workers_ready(1)
        first, second = await farm.submit("label:a sleep:0.5"), await farm.submit("label:b sleep:0.1")
        await farm.running(first)
        (view,) = farm.dispatcher.workers
        async with asyncio.timeout(60):
            while second not in view.assigned:
                await asyncio.sleep(0.01)
        silent = replace(command, argv=(sys.executable, "-c", program))
        (only,) = agent._cards
        only._lives._command = silent
        assert sent(child_pid_file(farm.root, "garage"), KILL)
        async with asyncio.timeout(60):
            while any([(await farm.job(job)).status is not JobStatus.QUEUED for job in (first, second)]):
                await asyncio.sleep(0.02)
        assert (await farm.job(second)).crashes == 0
        assert [view.draining for view in farm.dispatcher.workers] == [True]
