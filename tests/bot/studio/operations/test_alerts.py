"""Operators are told of trouble once, and once when it is over, also over restarts."""

from __future__ import annotations

import pytest

from bot.doctor.report import Check, State

BROKEN = Check("live", "Workers", State.FAIL, "no worker", "look at the log")
OLD = Check("backups", "Backups", State.WARN, "failed", "free room")
FINE = Check("queue", "Queue", State.WARN, "paused", "press go on")


@pytest.fixture
async def operators(make_stage):
    """A stage whose only operator is somebody who is there."""
    stage = await make_stage()
    admin = await stage.visitor("Admin")
    await stage.stop_bot()
    stage.settings = stage.settings.model_copy(update={"operators": frozenset({int(admin.user_id)})})
    await stage.start_bot()
    return stage, admin


def trouble(stage, *checks):
    stage.studio.operations.alerts._live = lambda _: checks


async def looks(stage, times=1):
    for _ in range(times):
        await stage.studio.operations.alerts.look()


async def told(admin):
    return [message.text for message in await admin.messages("dm")]


async def test_trouble_that_stays_is_told_once_and_its_end_once(operators):
    stage, admin = operators
    trouble(stage, BROKEN, FINE)
    await looks(stage)
    assert await told(admin) == [], "it may be over at the next look"
    await looks(stage, 3)
    (first,) = await told(admin)
    assert "no worker" in first
    assert "paused" not in first
    await stage.restart()
    trouble(stage, BROKEN)
    await looks(stage, 3)
    assert len(await told(admin)) == 1, "it was told before the restart"
    trouble(stage, Check("live", "Workers", State.WARN, "starting", "wait"))
    await looks(stage, 3)
    assert len(await told(admin)) == 1, "a worker that starts is not well yet"
    trouble(stage)
    await looks(stage, 2)
    assert "well again" in (await told(admin))[1]
    trouble(stage, OLD)
    await looks(stage, 2)
    assert "free room" in (await told(admin))[2]


async def test_what_comes_and_goes_between_looks_is_no_trouble(operators):
    stage, admin = operators
    for checks in ((BROKEN,), (), (BROKEN,), ()):
        trouble(stage, *checks)
        await looks(stage)
    assert await told(admin) == []


async def test_a_closed_direct_message_does_no_harm(operators):
    stage, admin = operators
    refused = stage.fault("POST", r"^/channels/.*/messages$", 403, code=50007)
    trouble(stage, BROKEN)
    await looks(stage, 3)
    assert refused.met == 1
    assert await told(admin) == []


@pytest.mark.parametrize("settings", [{"alerts": False, "operators": frozenset({5})}, {}])
async def test_nobody_is_told_where_nobody_wants_it(make_stage, settings):
    stage = await make_stage(**settings)
    assert stage.studio.operations.alerts._task is None
