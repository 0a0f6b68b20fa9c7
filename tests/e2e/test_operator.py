"""What an operator meets: a start that cannot be, no worker, files that are no models, a full disk."""

import contextlib
import json
import pickle
import re
import socket
import sqlite3
import subprocess
import sys

import aiohttp
import pytest

from bot import exit_codes
from tests.e2e.product import Product

NO_WORKER = {"PINCEL_WORKERS": "0"}


def refused(product, within_s=60.0):
    """The exit code of a start that cannot be, and the last lines it printed: one sentence and what to do."""
    product.launch()
    code = product.ended(within_s)
    assert "Traceback" not in product.output
    return code, product.output


def test_a_damaged_database(own_product):
    product = own_product(**NO_WORKER)
    product.data.mkdir(parents=True)
    (product.data / "pincel.sqlite").write_bytes(b"this is no database " * 500)
    code, said = refused(product)
    assert code == exit_codes.DATABASE
    assert "is damaged" in said
    assert "backups" in said
    assert (product.data / "pincel.sqlite").read_bytes().startswith(b"this is no database")


def test_a_locked_database(own_product):
    product = own_product(**NO_WORKER)
    product.start()
    product.stop()
    with contextlib.closing(sqlite3.connect(product.data / "pincel.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        code, said = refused(product)
    assert code == exit_codes.DATABASE
    assert "locked by another program" in said
    product.start()


def test_a_second_bot_on_the_same_folder(own_product):
    product = own_product(**NO_WORKER).start()
    second = own_product(PINCEL_DATA=str(product.data), folder="second", **NO_WORKER)
    code, said = refused(second)
    assert code == exit_codes.SECOND_BOT
    assert "already running" in said
    assert product.process.poll() is None


def test_a_taken_port(own_product):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = refused(own_product(PINCEL_PLAYGROUND_PORT=str(taken.getsockname()[1]), **NO_WORKER))
    assert code == exit_codes.PORT_TAKEN
    assert "port" in said.lower()


def test_a_taken_address_of_health_checks_and_a_refusal_as_json(own_product):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = refused(own_product(PINCEL_METRICS=address, PINCEL_LOG_FORMAT="json", **NO_WORKER))
    assert code == exit_codes.SETTINGS
    (line,) = [json.loads(line) for line in said.splitlines() if "PINCEL_METRICS" in line]
    assert line["level"] == "critical"
    assert address in line["message"]


def test_a_token_that_discord_refuses(own_product, local_discord):
    product = own_product(local_discord.start(), DISCORD_TOKEN="MTIz.abc.no-such-token", **NO_WORKER)
    code, said = refused(product)
    assert code == exit_codes.TOKEN
    assert "does not accept the token" in said
    assert "no-such-token" not in said


def test_a_discord_that_cannot_be_reached(own_product, local_discord):
    endpoints = local_discord.start()
    local_discord.kill()
    code, said = refused(own_product(endpoints, **NO_WORKER))
    assert code == exit_codes.OFFLINE
    assert "cannot be reached" in said


def test_a_setting_that_cannot_be(own_product):
    code, said = refused(own_product(PINCEL_WORKERS="many"))
    assert code == exit_codes.SETTINGS
    assert "PINCEL_WORKERS" in said


async def test_a_worker_that_cannot_start_keeps_its_jobs(own_product):
    """The card first says that the machine starts, then that it is not running; repaired, it draws. The log, which is
    JSON here, and /readyz say so, too."""
    product = own_product(PINCEL_DEVICE="cuda:7", PINCEL_METRICS="127.0.0.1:0", PINCEL_LOG_FORMAT="json").start()
    async with product.person() as member:
        card_id = await member.begin(prompt="a patient cat", steps=3, count=1)
        card = await member.shown("general", card_id, lambda m: "drawing machine is not running" in m.text)
        assert card.labels == ("Cancel",)
        assert "not running" in await member.told(await member.slash("general", "queue"))
    lines = [json.loads(line) for line in product.output.splitlines() if line.startswith("{")]
    failed = next(line for line in lines if line["message"].startswith("Worker w1 could not start ("))
    assert (failed["level"], failed["worker"]) == ("error", "w1")
    assert "(The engine cannot start: " in failed["message"]
    words = [json.loads(line) for line in (product.data / "logs" / "worker.log").read_text("utf-8").splitlines()]
    assert {line["worker"] for line in words} == {"w1"}
    assert "Traceback" in next(line["exc"] for line in words if line["message"] == "the engine cannot start")
    port = next(re.search(r"port (\d+)", line["message"]) for line in lines if "health checks" in line["message"])[1]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["checks"]["worker"] == {"ok": False, "reason": "away"}
    product.stop()
    product.settings.clear()
    product.start()
    async with product.person() as member:
        assert len((await member.shown("general", card_id)).media) == 1


async def test_without_any_worker_a_card_says_so_at_once(own_product):
    async with own_product(**NO_WORKER).start().person() as member:
        card_id = await member.begin(prompt="nobody draws")
        await member.shown("general", card_id, lambda m: "drawing machine is not running" in m.text, 10)


# --- files in the models folder, and a disk that is full: one product ------------------------------------------------


class Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return (open, (str(self._path), "w"))


@pytest.fixture(scope="module")
def crooked(tmp_path_factory):
    """A product whose models folder holds what is no model, and whose outputs lie on a disk of 1 MB."""
    product = Product(tmp_path_factory.mktemp("crooked"))
    checkpoints, loras = product.data / "models" / "checkpoints", product.data / "models" / "loras"
    checkpoints.mkdir(parents=True)
    loras.mkdir()
    trap = pickle.dumps(Trap(product.folder / "sprung"))
    for place in (checkpoints / "trap.ckpt", checkpoints / "trap2.safetensors", loras / "trap.pt"):
        place.write_bytes(trap)
    (checkpoints / "cut off.safetensors").write_bytes(b"\xff\0\0\0\0\0\0\0{")
    (checkpoints / "empty.safetensors").write_bytes(b"")
    (loras / "noise.safetensors").write_bytes(bytes(range(256)) * 40)
    outputs = product.data / "outputs"
    outputs.mkdir()
    small = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(outputs)], capture_output=True
    ).returncode
    product.small_disk = small == 0 if sys.platform == "linux" else False
    yield product.start()
    product.stop()
    if product.small_disk:
        subprocess.run(["umount", str(outputs)], check=True)


async def test_files_that_are_no_models_are_named_never_loaded_and_harm_no_other(crooked):
    async with crooked.person() as member:
        offered = await member.autocomplete("general", "imagine", "checkpoint", {"checkpoint": ""})
        assert [choice["value"] for choice in offered] == ["pincel-demo"]
        for name in ("trap", "trap2", "cut off", "empty"):
            answer = await member.slash("general", "imagine", {"prompt": "x", "checkpoint": name})
            assert f"The file of the checkpoint “{name}” cannot be used" in await member.told(answer)
        for name in ("trap", "noise"):
            answer = await member.slash("general", "imagine", {"prompt": "x", "lora": name})
            assert f"The file of the LoRA “{name}” cannot be used" in await member.told(answer)
        assert (await member.imagine(prompt="a cat", steps=2, count=1)).media
        # The worker has judged the same files.
        answer = await member.slash("general", "imagine", {"prompt": "x", "checkpoint": "trap"})
        assert "cannot be used" in await member.told(answer)
    assert not (crooked.folder / "sprung").exists()
    assert "could not start" not in crooked.output


async def test_a_full_disk_loses_nothing(crooked):
    if not crooked.small_disk:
        pytest.skip("needs the right to mount a small disk")
    outputs = crooked.data / "outputs"
    async with crooked.person() as member:
        (outputs / "ballast").write_bytes(b"x")
        with contextlib.suppress(OSError), (outputs / "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(4096))
                ballast.flush()
        card_id = await member.begin(prompt="a picture without room", steps=3, count=2)
        await member.shown("general", card_id, lambda m: "Finishing" in m.text or "Drawing" in m.text, 60)
        job = member.job(card_id)["id"]
        assert crooked.rows("SELECT status FROM jobs WHERE id = ?", job)[0]["status"] == "assigned"
        (outputs / "ballast").unlink()
        card = await member.shown("general", card_id)
        assert len(card.media) == 2
        assert member.job(card)["attempt"] == 1
