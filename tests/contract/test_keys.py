"""All of a machine's work goes through TLS and under a key that may do this and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.domain.job import JobStatus
from tests.contract.farm import LEASES, Farm, open_farm
from tests.contract.keyed import KeyedBroker
from tests.contract.nats_kit import NatsKit, subjects_of

MACHINES = ("attic", "garage")


@dataclass
class Fleet:
    broker: KeyedBroker
    farm: Farm


@pytest.fixture
async def fleet(broker: None, tmp_path: Path) -> AsyncGenerator[Fleet]:
    async with contextlib.AsyncExitStack() as stack:
        keyed = await stack.enter_async_context(KeyedBroker(tmp_path / "own", subjects=subjects_of(tmp_path)))
        invites = {name: (await keyed.join(name)).text for name in MACHINES}
        kit = NatsKit(keyed.access, invites=invites)
        stack.callback(kit.clear, tmp_path)
        farm = await stack.enter_async_context(open_farm(tmp_path, kit, *MACHINES, leases=replace(LEASES, lease_s=3.0)))
        await farm.workers_ready(2)
        yield Fleet(keyed, farm)


async def test_two_machines_draw_by_their_keys_also_over_the_death_of_the_broker(fleet):
    farm = fleet.farm
    jobs = [await farm.submit("sleep:0.05", user=n % 5) for n in range(20)]
    while len(farm.seen.ends) < 5:
        await asyncio.sleep(0.01)
    fleet.broker.kill()
    assert await farm.ended(jobs) == [JobStatus.DONE] * 20
    await farm.check_delivered_once(jobs)
    assert all(farm.journal()[f"start {job}"] == 1 for job in jobs)
    await farm.settled(MACHINES)
    assert {progress.worker for progress in farm.seen.progress} == set(MACHINES)


async def test_revoked_machines_jobs_are_drawn_by_the_others(fleet):
    farm = fleet.farm
    jobs = [await farm.submit("sleep:1", user=n) for n in range(4)]
    await farm.running(jobs[0])
    await fleet.broker.revoke("garage")
    assert await farm.ended(jobs) == [JobStatus.DONE] * 4
    await farm.check_delivered_once(jobs)
    rows = await farm.database.all("SELECT worker FROM attempts WHERE outcome = 'done'")
    assert [row["worker"] for row in rows] == ["attic"] * 4
