"""Models on their way to a machine: a real broker, real files, the machine's real agent, a child that draws nothing."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import random
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from nats.aio.client import Client

from bot.dispatch.nats import serving
from bot.dispatch.needs import ModelNeeds
from bot.domain.job import JobStatus
from gpu_worker.protocol.frames import pack
from gpu_worker.protocol.nats.mail import GONE, HERE, InputWanted, ModelWanted
from gpu_worker.protocol.nats.subjects import inbox_of
from tests.bot.dispatch.test_needs import Shelf
from tests.contract.farm import LEASES, Farm, open_farm
from tests.contract.nats_kit import ADDRESS, Broker, NatsKit, outbox_of, subjects_of

MB = 2**20


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    folder = tmp_path / "library"
    folder.mkdir()
    shelf = Shelf(folder)
    shelf.add("checkpoint", "big", content=random.Random(1).randbytes(12 * MB + 5))
    shelf.add("lora", "brush", content=random.Random(2).randbytes(700_000))
    return shelf


@pytest.fixture
def kit(broker: None, tmp_path: Path) -> Generator[NatsKit]:
    kit = NatsKit()
    yield kit
    kit.clear(tmp_path)


@pytest.fixture
def reads(monkeypatch) -> collections.Counter[int]:
    """Offsets at which the bot read model files for others, and how often; `[-1]` of it is a pause in ms."""
    seen: collections.Counter[int] = collections.Counter()
    real = serving._read

    def counted(path: Path, offset: int) -> bytes:
        seen[offset] += 1
        time.sleep(seen[-1] / 1000)
        return real(path, offset)

    monkeypatch.setattr(serving, "_read", counted)
    return seen


@contextlib.asynccontextmanager
async def farm_of(kit: NatsKit, root: Path, shelf: Shelf, *workers: str) -> AsyncGenerator[Farm]:
    async with open_farm(root, kit, *workers, leases=LEASES, needs=ModelNeeds(shelf)) as farm:
        await farm.workers_ready(len(workers))
        yield farm


def fetched(root: Path, worker: str, kind: str, name: str) -> Path:
    return outbox_of(root, worker) / "fetched" / kind / f"{name}.safetensors"


def halves(root: Path, worker: str) -> int:
    """Bytes that are there of what is on its way."""
    with contextlib.suppress(OSError):
        return sum(path.stat().st_size for path in (outbox_of(root, worker) / "fetched" / ".parts").iterdir())
    return 0


async def until(is_so) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def stranger(root: Path, machine: str) -> AsyncGenerator[Client]:
    client = Client()
    await client.connect(os.environ[ADDRESS], inbox_prefix=inbox_of(machine))
    try:
        yield client
    finally:
        await client.close()


async def asks(client: Client, root: Path, machine: str, wanted: ModelWanted | InputWanted) -> bytes:
    answer = await client.request(subjects_of(root).inputs(machine), pack(wanted), timeout=30)
    return answer.data[:1]


async def test_a_machine_without_models_draws_with_what_the_library_has(kit, tmp_path, shelf, reads):
    async with farm_of(kit, tmp_path, shelf, "garage") as farm:
        await until(lambda: fetched(tmp_path, "garage", "checkpoints", "big").exists())  # it was warmed up with it
        job = await farm.submit("label:x <lora:brush:1>", model="big")
        assert await farm.ended([job]) == [JobStatus.DONE]
        for kind, folder, name in (("checkpoint", "checkpoints", "big"), ("lora", "loras", "brush")):
            mine = fetched(tmp_path, "garage", folder, name)
            assert mine.read_bytes() == shelf.rows[kind, name].path.read_bytes()
        phases = [p.phase for p in farm.seen.progress if p.job == job]
        assert phases.index("fetching") < phases.index("sampling")
        assert reads[0] == 2, "each file once"
        before = sum(reads.values())
        assert await farm.ended([await farm.submit("label:y <lora:brush:1>", model="big")]) == [JobStatus.DONE]
        assert sum(reads.values()) == before


async def test_a_fetch_goes_on_where_it_was_after_the_broker_died(broker, tmp_path, shelf, reads):
    own = Broker(tmp_path / "broker")
    kit = NatsKit(own.url)
    reads[-1] = 20
    try:
        async with farm_of(kit, tmp_path, shelf, "garage") as farm:
            job = await farm.submit("label:x", model="big")
            await until(lambda: halves(tmp_path, "garage") > 3 * MB)
            own.kill()
            await asyncio.sleep(1.0)
            there = halves(tmp_path, "garage")
            assert 3 * MB < there < 12 * MB
            own.start()
            reads[-1] = 0
            assert await farm.ended([job]) == [JobStatus.DONE]
            assert reads[0] == 1
            assert (await farm.job(job)).crashes == 0
    finally:
        kit.clear(tmp_path)
        own.kill()


async def test_a_fetch_goes_on_with_the_next_life_of_the_bot(kit, tmp_path, shelf, reads):
    reads[-1] = 20
    async with farm_of(kit, tmp_path, shelf, "garage") as farm:
        job = await farm.submit("label:x", model="big")
        await until(lambda: halves(tmp_path, "garage") > 3 * MB)
    reads[-1] = 0
    async with farm_of(kit, tmp_path, shelf, "garage") as farm:
        assert await farm.ended([job]) == [JobStatus.DONE]
        rows = await farm.database.all("SELECT attempt, outcome FROM attempts WHERE job_id = ?", (job,))
        assert [(row["attempt"], row["outcome"]) for row in rows] == [(1, "done")]
        assert reads[0] == 1


async def test_who_has_no_job_that_needs_a_file_is_not_served_it(kit, tmp_path, shelf, reads):
    other = shelf.add("checkpoint", "secret", content=b"s" * 1000, size_bytes=1000)
    async with farm_of(kit, tmp_path, shelf, "garage") as farm:
        big, lora = (shelf.rows[key].sha256 for key in (("checkpoint", "big"), ("lora", "brush")))
        await until(lambda: fetched(tmp_path, "garage", "checkpoints", "big").exists())
        job = await farm.submit("label:x sleep:3 <lora:brush:1>", model="big")
        await farm.running(job)
        async with stranger(tmp_path, "attic") as client:
            for digest in (big, lora, other.sha256, "f" * 64):
                assert await asks(client, tmp_path, "attic", ModelWanted(sha256=digest, offset=0)) == GONE
            assert await asks(client, tmp_path, "attic", InputWanted(ref="f" * 64, offset=0)) == GONE
        async with stranger(tmp_path, "garage") as client:
            assert await asks(client, tmp_path, "garage", ModelWanted(sha256=lora, offset=0)) == HERE
            assert await asks(client, tmp_path, "garage", ModelWanted(sha256=other.sha256, offset=0)) == GONE
            assert await farm.ended([job]) == [JobStatus.DONE]
            async with asyncio.timeout(60):
                while await asks(client, tmp_path, "garage", ModelWanted(sha256=lora, offset=0)) != GONE:
                    await asyncio.sleep(0.1)


async def test_a_file_that_is_not_what_its_hash_says_is_drawn_by_nobody(kit, tmp_path, shelf):
    lora = shelf.rows["lora", "brush"]
    lora.path.write_bytes(random.Random(3).randbytes(lora.size_bytes))
    async with farm_of(kit, tmp_path, shelf, "garage") as farm:
        job = await farm.submit("label:x <lora:brush:1>", model="big")
        assert await farm.ended([job]) == [JobStatus.FAILED]
        assert (await farm.job(job)).failure_kind == "bad_model"
        assert not farm.journal()["start x"]
    assert not fetched(tmp_path, "garage", "loras", "brush").exists()


async def test_a_job_is_cancelled_while_its_models_come(kit, tmp_path, shelf, reads):
    reads[-1] = 50
    async with farm_of(kit, tmp_path, shelf, "garage") as farm:
        job = await farm.submit("label:x", model="big")
        await until(lambda: any(p.job == job and p.phase == "fetching" for p in farm.seen.progress))
        await farm.dispatcher.cancel(job, 1)
        assert await farm.ended([job]) == [JobStatus.CANCELLED]
        assert not farm.journal()["start x"]
