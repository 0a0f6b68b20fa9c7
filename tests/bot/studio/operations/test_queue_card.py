"""What a panel says of workers and people, known and not known, within Discord's limits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.delivery.machine import MachineState
from bot.dispatch.standing import Standing
from bot.domain.ids import GuildId
from bot.domain.job import Job, JobStatus
from bot.domain.queue_rules import GateState
from bot.i18n import LANGUAGES, texts_for
from bot.studio.operations.queue_card import duration, job_menu, queue_card
from bot.studio.operations.snapshot import QueueLine, QueueLook, WorkerLook
from tests.contract.farm import new_job

WORKER = WorkerLook("w1", "NVIDIA X", "dreamy", 24576, 12288, 54, 97, 312, busy=True, compatible=True)


def line(words: str = "a kite", position: int = 1, **facts) -> QueueLine:
    new = new_job(words)
    job = Job(
        id=new.id, action=new.action, user_id=new.user_id, guild_id=GuildId(7), channel_id=new.channel_id, locale="en",
        lane=new.lane, task=new.task, status=JobStatus.QUEUED, work_units=1, attempt=0, crashes=0, worker=None,
        created_at=0.0,
    )  # fmt: skip
    return QueueLine(job, Standing(position, 1, 30.0, **facts), private=False)


def look(**changes) -> QueueLook:
    plain = QueueLook(
        guild_id=7, state=GateState.RUNNING, state_all=GateState.RUNNING, machine=MachineState.READY, running=0,
        waiting=1, lines=(line(),), workers=(WORKER,), busiest=((1, 90.0),), disk_free_bytes=None,
    )  # fmt: skip
    return replace(plain, **changes)


def shown(card) -> str:
    return json.dumps(card.to_components(), ensure_ascii=False)


def test_a_card_tells_memory_heat_use_and_power():
    text = shown(queue_card("p", look(), texts_for("en")))
    for part in ("12.0 of 24 GiB", "54 °C", "97 % busy", "312 W", "has dreamy loaded", "<@1> 2 min"):
        assert part in text, part


def test_what_is_not_known_is_said_and_a_processor_has_none_of_it():
    unknown = replace(WORKER, vram_free_mb=None, temperature_c=None, utilisation_pct=None, power_w=None)
    text = shown(queue_card("p", look(workers=(unknown,)), texts_for("en")))
    assert "how much is used is not known" in text
    assert "temperature not known" in text
    cpu = replace(unknown, vram_mb=0, gpu="cpu")
    text = shown(queue_card("p", look(workers=(cpu,)), texts_for("en")))
    assert "known" not in text


def test_equal_looks_give_equal_cards_though_time_goes_on():
    here = look()
    assert shown(queue_card("p", here, texts_for("en"), 1000.0)) == shown(
        queue_card("p", here, texts_for("en"), 1002.0)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_panel_fits_a_message(language):
    lines = tuple(line("*_`" * 300, n) for n in range(25))
    workers = tuple(replace(WORKER, name=f"worker {n}" * 5, gpu="G" * 100, loaded="m" * 100) for n in range(8))
    busiest = tuple((10**18 + n, 1e6) for n in range(5))
    for state in GateState:
        full = look(
            state=state, state_all=GateState.PAUSED, waiting=500, lines=lines, workers=workers, busiest=busiest,
            guild_id=None, disk_free_bytes=10**12, backed_up_at=1.0,
        )  # fmt: skip
        card = queue_card("p", full, texts_for(language))
        (text,) = [part["content"] for part in card.to_components()[0]["components"] if part["type"] == 10]
        assert len(text) <= 4000
        assert "…" in text


def test_only_operators_move_over_all_servers():
    plain, full = (shown(job_menu(line(), texts_for("en"), operator=who)) for who in (False, True))
    assert ':3"' not in plain
    assert "queuemove" in plain
    assert ':4"' in full


def test_lengths_are_told_in_the_unit_that_fits():
    texts = texts_for("en")
    assert [duration(value, texts) for value in (5, 600, 36_000)] == ["5 s", "10 min", "10.0 h"]
