"""What is counted and what counts as ready, without a bot."""

import sqlite3
from types import SimpleNamespace

import pytest

from bot.delivery.machine import MachineState
from bot.domain.job import JobStatus, Lane
from bot.storage.database import StorageFullError
from bot.storage.job_rows import QueueRow
from bot.storage.job_times import JobTime
from bot.studio.monitoring.health import WRITE_FRESH_S, Readiness
from bot.studio.monitoring.looks import count_queue
from bot.studio.monitoring.meters import Meters


class Client:
    def __init__(self, *, ready=True, closed=False):
        self._ready, self._closed = ready, closed

    def is_ready(self):
        return self._ready

    def is_closed(self):
        return self._closed


class Facts:
    def __init__(self):
        self.wrote, self.fails = 0, None

    async def put(self, key, value):
        self.wrote += 1
        if self.fails is not None:
            raise self.fails


def readiness(client=None, state=MachineState.READY):
    clock = SimpleNamespace(now=100.0)
    facts = Facts()
    machine = SimpleNamespace(state=state)
    return (
        Readiness(client=client or Client(), facts=facts, machine=machine, clock=lambda: clock.now), facts, clock
    )  # fmt: skip


@pytest.mark.parametrize(
    ("client", "state", "wrong"),
    [
        (Client(), MachineState.READY, {}),
        (Client(ready=False), MachineState.READY, {"gateway": "connecting"}),
        (Client(closed=True), MachineState.AWAY, {"gateway": "closed", "worker": "away"}),
    ],
)
async def test_what_is_missing_is_named(client, state, wrong):
    asked, _, _ = readiness(client, state)
    reasons = await asked.reasons()
    assert set(reasons) == {"gateway", "database", "worker"}
    assert {name: reason for name, reason in reasons.items() if reason} == wrong


@pytest.mark.parametrize(
    ("error", "reason"),
    [(StorageFullError(), "full"), (sqlite3.OperationalError("readonly"), "unwritable"), (TimeoutError(), "busy")],
)
async def test_probes_write_now_and_then_and_tell_when_they_cannot(error, reason):
    asked, facts, clock = readiness()
    for _ in range(3):
        assert (await asked.reasons())["database"] is None
    assert facts.wrote == 1
    facts.fails = error
    clock.now += WRITE_FRESH_S
    assert (await asked.reasons())["database"] == reason
    facts.fails = None
    clock.now += WRITE_FRESH_S
    assert (await asked.reasons())["database"] is None


def test_kinds_of_failure_are_a_closed_list():
    meters = Meters()
    for kind in ("oom", "withheld", "invented by a worker", None):
        meters.ended(JobTime("batch", "failed", kind, 1.0, None, None))
    assert {
        kind: meters.registry.get_sample_value("pincel_job_failures_total", {"kind": kind})
        for kind in ("oom", "withheld", "other", "invented by a worker")
    } == {"oom": 1, "withheld": 1, "other": 2, "invented by a worker": None}


def row(number, lane, status=JobStatus.QUEUED, **more):
    return QueueRow(str(number), 1, lane, "m", 1.0, status, 100.0 - number, 0, None, **more)


def test_the_queue_by_lane_and_what_may_be_drawn_of_it():
    counts, oldest = count_queue(
        [
            row(1, Lane.INTERACTIVE), row(2, Lane.INTERACTIVE), row(50, Lane.INTERACTIVE, JobStatus.ASSIGNED),
            row(3, Lane.TRAINING, held=True), row(4, Lane.SCRIPT),
        ],
        now=110.0,
    )  # fmt: skip
    assert {key: count for key, count in counts.items() if count} == {
        ("interactive", "waiting"): 2, ("interactive", "running"): 1, ("training", "paused"): 1,
    }  # fmt: skip
    assert oldest == {"interactive": 12.0, "batch": 0.0, "training": 0.0}
