"""Live panels end to end: what they show, to whom their buttons answer, and what of it outlives restarts."""

from __future__ import annotations

import asyncio

import pytest

from bot.studio.operations import panels as module
from tests.stage.visitor import finished, verbs

PACE_S = 0.05


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("TICK_S", "YOUNG_EVERY_S", "OLD_EVERY_S"):
        monkeypatch.setattr(module, name, PACE_S)


async def waiting(stage, member, *prompts):
    stage.painter.hold()
    return [await member.begin(prompt=prompt) for prompt in prompts]


async def panel_of(stage, admin, **options):
    return await admin.shown(await admin.slash("general", "panel", options), lambda m: "queuepanel" in verbs(m))


async def test_it_shows_who_waits_and_edits_itself(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    panel = await panel_of(stage, admin)
    assert "No espera nadie" in panel.text
    await waiting(stage, member, "a red kite", "a blue boat", "an owl @everyone")
    shown = await admin.shown(panel.id, lambda m: "a red kite" in m.text and "owl" in m.text)
    assert f"<@{member.user_id}>" in shown.text
    assert "@everyone" not in shown.text
    stage.painter.release()
    await admin.shown(panel.id, lambda m: "No espera nadie" in m.text)


@pytest.mark.parametrize("kill", [False, True])
async def test_it_goes_on_after_a_restart_and_its_buttons_too(stage, kill):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    panel = await panel_of(stage, admin)
    await admin.press(panel, "queuepanel", 1)
    await admin.shown(panel.id, lambda m: "En pausa" in m.text)
    await stage.restart(kill=kill)
    card = await member.begin(prompt="a red kite")
    shown = await admin.shown(panel.id, lambda m: "a red kite" in m.text)
    assert "En pausa" in shown.text
    await member.shown(card, lambda m: "paused" in m.text)
    assert not stage.painter.specs
    await admin.press(shown, "queuepanel", 2)
    await member.shown(card, finished)


async def test_a_line_that_runs_dry_takes_nothing_in_and_draws_what_waits(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    panel = await panel_of(stage, admin)
    (card,) = await waiting(stage, member, "a red kite")
    told = await admin.told(await admin.press(panel, "queuepanel", 3))
    assert "Seguir" in told
    refused = await member.told(await member.slash("general", "imagine", {"prompt": "a late one"}))
    assert "take no new jobs" in refused
    stage.painter.release()
    done = await member.shown(card, finished)
    assert "take no new jobs" in await member.told(await member.press(done, "reroll"))
    await stage.restart()
    assert "take no new jobs" in await member.told(await member.slash("general", "imagine", {"prompt": "x"}))


async def test_jobs_are_moved_and_dropped_from_its_list(stage):
    admin, member, other = await stage.visitor("Admin"), await stage.visitor(), await stage.visitor("Ann")
    panel = await panel_of(stage, admin)
    await waiting(stage, member, "one", "two", "three", "four")
    (last,) = await waiting(stage, other, "five")
    panel = await admin.shown(panel.id, lambda m: "five" in m.text)
    rows = {row["prompt"]: row["id"] for row in stage.rows("SELECT id, spec ->> '$.prompt' AS prompt FROM jobs")}
    menu = await admin.shown(await admin.pick(panel, "queuejobs", [rows["four"]]))
    assert menu.ephemeral
    assert "four" in menu.text
    await admin.told(await admin.press(menu, "queuemove", 1))
    assert stage.rows("SELECT moved FROM jobs WHERE id = ?", rows["four"])[0]["moved"] == "server_front"
    menu = await admin.shown(await admin.pick(panel, "queuejobs", [rows["five"]]))
    await admin.told(await admin.press(menu, "queuedrop"))
    await other.shown(last, lambda m: "cancel" not in verbs(m))
    stage.painter.release()
    await stage.told()
    drawn = [spec.prompt for spec in stage.painter.specs]
    assert "five" not in drawn
    assert drawn.index("four") < drawn.index("three")
    assert [row["action"] for row in stage.rows("SELECT action FROM admin_audit ORDER BY id")] == [
        "move_server_front", "drop",
    ]  # fmt: skip
    late = await admin.told(await admin.press(menu, "queuedrop"))
    assert "ya no espera" in late


async def test_members_press_in_vain_and_nothing_of_other_servers_is_seen(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    panel = await panel_of(stage, admin)
    refused = await member.told(await member.press(panel, "queuepanel", 1))
    assert "admins" in refused.lower()
    assert not stage.rows("SELECT * FROM queue_gates")
    stage.painter.hold()
    await member.begin(prompt="ours")
    await admin.shown(panel.id, lambda m: "ours" in m.text)
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET guild_id = 1 WHERE spec ->> '$.prompt' = 'ours'")
    stage.studio.operations.panels.renew()
    await admin.shown(panel.id, lambda m: "ours" not in m.text)


async def test_private_pictures_keep_their_prompt(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    stage.painter.hold()
    await member.begin(prompt="a secret gift")
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET private = 1")
    panel = await panel_of(stage, admin)
    assert "secret" not in panel.text
    assert "no se muestra aquí" in panel.text


async def test_what_was_asked_where_not_everybody_reads_is_not_repeated_where_everybody_does(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    stage.painter.hold()
    await member.begin("studio", prompt="for all")
    await member.begin("after-dark", prompt="for adults")
    panel = await panel_of(stage, admin)
    assert "for all" in panel.text
    assert "for adults" not in panel.text
    dark = await admin.slash("after-dark", "panel")
    shown = await admin.shown(dark, lambda m: "queuepanel" in verbs(m), channel="after-dark")
    assert "for adults" in shown.text


async def test_the_panel_of_all_servers_needs_a_channel_that_not_everybody_sees(make_stage):
    stage = await make_stage(operators=frozenset({1}))
    admin = await stage.visitor("Admin")
    assert "operador" in await admin.told(await admin.slash("general", "panel", {"everything": True}))
    await stage.stop_bot()
    stage.settings = stage.settings.model_copy(update={"operators": frozenset({int(admin.user_id)})})
    await stage.start_bot()
    assert "todo el mundo" in await admin.told(await admin.slash("general", "panel", {"everything": True}))
    shown = await admin.shown(await admin.slash("dm", "panel"), lambda m: "queuepanel" in verbs(m), channel="dm")
    assert "todos los servidores" in shown.text
    assert "Disco libre" in shown.text
    await admin.press(shown, "queuepanel", 1)
    member = await stage.visitor()
    card = await member.begin(prompt="a kite")
    await member.shown(card, lambda m: "paused" in m.text)
    servers = await panel_of(stage, admin)
    assert "El operador ha pausado" in servers.text
    shown = await admin.shown(shown.id, lambda m: "a kite" in m.text, channel="dm")
    assert stage.bot.get_guild(stage.guild_id).name in shown.text
    await admin.press(shown, "queuepanel", 2)
    await member.shown(card, finished)


async def test_a_deleted_panel_is_forgotten_and_a_second_one_replaces_the_first(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    first = await panel_of(stage, admin)
    second = await panel_of(stage, admin)
    await admin.shown(first.id, lambda m: "más abajo" in m.text)
    assert len(stage.rows("SELECT * FROM admin_panels")) == 1
    stage.discord.delete_message(stage.channel_id("general"), int(second.id))
    await waiting(stage, member, "a kite")
    while stage.rows("SELECT * FROM admin_panels"):
        await asyncio.sleep(PACE_S)


async def test_trouble_that_passes_loses_no_panel(stage, monkeypatch):
    monkeypatch.setattr(module, "TROUBLE_WAIT_S", PACE_S)
    monkeypatch.setattr(module, "REFUSED_WAIT_S", PACE_S)
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    panel = await panel_of(stage, admin)
    await asyncio.to_thread(stage.execute, "UPDATE admin_panels SET token_expires_at = 0")
    await stage.restart()
    fault = stage.fault("PATCH", r"^/channels/.*/messages/", 503, times=1)
    refused = stage.fault("PATCH", r"^/channels/.*/messages/", 400, code=30046, times=1)
    await waiting(stage, member, "a kite")
    await admin.shown(panel.id, lambda m: "a kite" in m.text)
    assert (fault.met, refused.met) == (1, 1)


async def test_two_admins_who_press_at_once_are_both_answered_and_it_happens_once(stage):
    one, other = await stage.visitor("Admin"), await stage.visitor("Admin")
    panel = await panel_of(stage, one)
    told = [await one.told(answer) for answer in await asyncio.gather(
        one.press(panel, "queuepanel", 1), other.press(panel, "queuepanel", 1)
    )]  # fmt: skip
    assert sorted("ya estaba así" in text for text in told) == [False, True]
    assert len(stage.rows("SELECT * FROM admin_audit")) == 1


async def test_a_channel_that_is_closed_to_the_bot_ends_its_panel(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await panel_of(stage, admin)
    await asyncio.to_thread(stage.execute, "UPDATE admin_panels SET token_expires_at = 0")
    await stage.restart()
    closed = stage.fault("PATCH", r"^/channels/.*/messages/", 403, code=50001, times=1)
    await waiting(stage, member, "a kite")
    while stage.rows("SELECT * FROM admin_panels"):
        await asyncio.sleep(PACE_S)
    assert closed.met == 1
