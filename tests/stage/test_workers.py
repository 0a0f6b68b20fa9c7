"""/workers: what operators see of the machines that draw, and what they do to them."""

import asyncio
import re
import time
from types import SimpleNamespace

import pytest

from bot.broker.keys import BrokerError
from bot.studio.fleet import cards
from bot.studio.fleet import roll as module
from bot.studio.fleet.look import own_version
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.nats.invite import read_invite
from tests.stage.keys_given import GivenKeys
from tests.stage.refusing import press, refused, unchanged
from tests.stage.visitor import finished, verbs

RARE = (m.ModelFact(kind="checkpoint", name="rare", family="sd1"),)


@pytest.fixture
async def keyed(make_stage):
    """A bot with a broker whose keys it looks after."""
    stage = await make_stage()
    stage.keys = GivenKeys()
    await stage.restart()
    return stage


@pytest.fixture
async def admin(keyed):
    """In English; at the playground whoever administers the server is the operator."""
    return await english(keyed)


async def english(stage):
    admin = await stage.visitor("Admin")
    await admin.set_locale("en-US")
    return admin


async def comes(stage, name, boot="one", **fields):
    """A remote worker says hello."""
    said = {"app_version": own_version(), "gpu": "RTX 3090", "vram_mb": 24_576, "models": RARE, **fields}
    await stage.studio.dispatcher.on_message(m.Hello(worker=name, boot=boot, name=name, **said))


async def beats(stage, name, *running, boot="one", **fields):
    await stage.studio.dispatcher.on_message(m.Heartbeat(worker=name, boot=boot, running=running, **fields))


async def listed(admin):
    return await admin.shown(await admin.slash("general", "workers list"))


async def opened(stage, admin, name):
    """The card of one worker, from the list."""
    card = await listed(admin)
    sights = {one.name: one for one in await stage.studio.fleet.roll.sights()}
    await admin.pick(card, "workerspick", [str(sights[name].row.id)])
    return await admin.shown(card.id, lambda message: "worker" in verbs(message))


async def added(admin, name="garage"):
    """The invite that was shown."""
    told = await admin.told(await admin.slash("general", "workers add", {"name": name}))
    return told, read_invite(re.search(r"pincel1-[\w-]+", told)[0])


def orders(stage):
    return stage.studio.dispatcher.orders


async def until(happened):
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.01)


# --- invites ----------------------------------------------------------------------------------------------------------


async def test_an_invite_lets_a_machine_in_and_is_shown_once(keyed, admin):
    told, invite = await added(admin)
    assert invite.machine == "garage"
    assert set(keyed.keys.allowed) == {"garage"}
    assert "launch.py worker --invite" in told
    seed = invite.access.seed
    for path in keyed.settings.data.rglob("*"):  # nowhere but in that answer
        assert path.is_dir() or seed.encode() not in await asyncio.to_thread(path.read_bytes), path
    assert "not seen yet" in (await listed(admin)).text
    assert [row["action"] for row in keyed.rows("SELECT action FROM admin_audit")] == ["machine_add"]


async def test_a_new_invite_revokes_the_old_key_after_a_question(keyed, admin):
    _, first = await added(admin)
    old = dict(keyed.keys.allowed)
    card = await opened(keyed, admin, "garage")
    await admin.press(card, "worker", cards.ASK_INVITE)
    asked = await admin.shown(card.id, lambda message: "A new invite" in message.text)
    assert keyed.keys.allowed == old
    await admin.press(asked, "worker", cards.INVITE)
    shown = await admin.wait_for_message(
        "general", lambda message: int(message.id) > int(asked.id) and "pincel1-" in message.text
    )
    assert shown.ephemeral
    told = shown.text
    second = read_invite(re.search(r"pincel1-[\w-]+", told)[0])
    assert second.access.seed != first.access.seed
    assert keyed.keys.allowed.keys() == old.keys()
    assert keyed.keys.allowed != old


async def test_a_broker_of_somebody_elses_gets_its_lines_by_hand(make_stage):
    stage = await make_stage()
    stage.keys = GivenKeys(looked_after=False)
    await stage.restart()
    admin = await english(stage)
    told, _ = await added(admin)
    assert "{ nkey: U" in told
    card = await opened(stage, admin, "garage")
    await admin.press(card, "worker", cards.ASK_REMOVE)
    asked = await admin.shown(card.id, lambda message: "Remove garage" in message.text)
    await admin.press(asked, "worker", cards.REMOVE)
    gone = await admin.shown(card.id, lambda message: "is removed" in message.text)
    assert "take this machine's out of its configuration" in gone.text


async def test_a_broker_that_is_away_lets_the_machine_in_later(keyed, admin):
    keyed.keys.trouble = BrokerError("unreachable", "away")
    told, _ = await added(admin)
    assert "works once it is" in told
    keyed.keys.trouble = None
    await keyed.studio.fleet.roll._catch_up()
    assert set(keyed.keys.allowed) == {"garage"}


async def test_a_bot_that_starts_tells_the_broker_whom_to_let_in(keyed, admin):
    await added(admin)
    keyed.keys.allowed = {}
    await keyed.restart()
    await keyed.studio.fleet.roll._catch_up()
    assert set(keyed.keys.allowed) == {"garage"}


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_names_that_no_machine_may_have(keyed, admin):
    await added(admin)
    await listed(admin)
    async with unchanged(keyed):
        for name, key in (
            ("my garage", "machine_name"), ("x" * 33, "machine_name"), ("garaje.2", "machine_name"),
            ("w7", "machine_name_ours"), ("T1", "machine_name_ours"), ("Garage", "machine_taken"),
        ):  # fmt: skip
            await refused(admin, await admin.slash("general", "workers add", {"name": name}), key)
        for command in ("drain", "resume", "remove"):
            answer = await admin.slash("general", f"workers {command}", {"name": "attic"})
            await refused(admin, answer, "machine_unknown")
        await refused(admin, await admin.slash("general", "workers remove", {"name": "w1"}), "worker_ours")
        own = next(one for one in await keyed.studio.fleet.roll.sights() if one.ours)
        for n in (cards.ASK_REMOVE, cards.REMOVE, cards.ASK_INVITE, cards.INVITE):
            await refused(admin, await press(keyed, admin, "worker", str(own.row.id), n), "worker_ours")
        await refused(admin, await press(keyed, admin, "worker", "4711", cards.DRAIN), "worker_gone")


async def test_without_a_broker(stage):
    admin = await english(stage)
    await listed(admin)
    async with unchanged(stage):
        said = await refused(
            admin, await admin.slash("general", "workers add", {"name": "garage"}), "workers_no_broker"
        )
    assert "PINCEL_BROKER=" in said


@pytest.mark.parametrize(
    ("reason", "key"),
    [("unreachable", "broker_unreachable"), ("address", "broker_address"), ("long", "broker_long")],
)
async def test_an_invite_that_cannot_be_made(keyed, admin, reason, key):
    keyed.keys.no_invite = BrokerError(reason, "in the log")
    await listed(admin)
    async with unchanged(keyed):
        await refused(admin, await admin.slash("general", "workers add", {"name": "garage"}), key)


async def test_an_invite_that_is_too_long_for_one_message(keyed, admin):
    keyed.keys.urls = tuple(f"tls://{'x' * 280}.example:{port}" for port in range(4222, 4230))
    await listed(admin)
    async with unchanged(keyed):
        await refused(admin, await admin.slash("general", "workers add", {"name": "garage"}), "broker_long")


@pytest.mark.parametrize(("reason", "key"), [("refused", "broker_refused"), ("unwritable", "broker_unwritable")])
async def test_a_broker_that_cannot_be_told_is_told_again_later(keyed, admin, reason, key):
    keyed.keys.trouble = BrokerError(reason, "in the log")
    await refused(admin, await admin.slash("general", "workers add", {"name": "garage"}), key)
    keyed.keys.trouble = None
    await keyed.studio.fleet.roll._catch_up()
    assert set(keyed.keys.allowed) == {"garage"}  # as it said: noted, and tried again


async def test_it_is_the_operators_alone(make_stage):
    stage = await make_stage(operators=frozenset({1}))
    admin = await english(stage)
    async with unchanged(stage):
        for command in ("list", "add", "drain", "resume", "remove"):
            options = {} if command == "list" else {"name": "garage"}
            await refused(admin, await admin.slash("general", f"workers {command}", options), "operator_alone")
        for verb, row_id in (("workers", "all"), ("worker", "1")):
            await refused(admin, await press(stage, admin, verb, row_id), "operator_alone")
    assert await admin.autocomplete("general", "workers drain", "name", {"name": ""}) == []


# --- what is seen -----------------------------------------------------------------------------------------------------


async def test_the_list_tells_what_each_worker_is_and_does(keyed, admin):
    await added(admin, "attic")
    await comes(keyed, "garage", fetches=True, models_room_mb=51_200, platform="Linux", loaded="rare")
    await comes(keyed, "garage.2", gpu="GTX 1080", app_version="0.0.9")
    await comes(keyed, "cellar", app_version="9.9", proto_min=90, proto_max=91)
    await beats(keyed, "garage", loaded="rare", vram_free_mb=12_288, temperature_c=61, utilisation_pct=97, power_w=300)
    await keyed.studio._kept.timings.learn("rare", "RTX 3090", 10.0, 10.0)
    text = (await listed(admin)).text
    assert "**garage** · RTX 3090 · 12.0 of 24 GiB in use" in text
    assert "rare loaded" in text
    assert "11.4 pictures a minute (20 steps at 512 × 512, rare)" in text
    assert "room for 53.7 GB of models" in text
    assert f"Version 0.0.9, this bot is {own_version()}. They understand each other" in text
    assert "protocol 90–91 there" in text
    assert "**attic**" in text
    assert "**w1**" in text
    card = await opened(keyed, admin, "garage")
    assert "61 °C" in card.text
    assert "Linux" in card.text
    assert "fetches the models it lacks" in card.text
    assert "It joined without an invite" in card.text


async def test_what_a_machine_says_of_itself_does_nothing(keyed, admin):
    await comes(
        keyed, "garage", gpu="**<@1>** [x](https://x.example)\n# big", platform="`@everyone`", app_version="*9* <@1>"
    )
    text = (await opened(keyed, admin, "garage")).text
    assert "<@1>" not in text
    assert "@everyone" not in text
    assert "](https" not in text.replace("\\]", "")
    assert "\n# big" not in text


async def test_a_list_fits_a_message_whatever_machines_call_themselves(keyed, admin):
    long = m.ModelFact(kind="checkpoint", name="*" * 200, family="sd1")
    for number in range(1, 7):
        name = f"{'m' * 31}{number}"
        said = {"gpu": "*" * 5000, "models": (long,), "loaded": long.name, "app_version": "9" * 5000}
        await comes(keyed, name, **said, fetches=True, models_room_mb=1, proto_min=900, proto_max=999)
        await keyed.studio.fleet.roll.put_out(name)
        await keyed.studio._kept.timings.learn(long.name, "*" * 5000, 10.0, 10.0)
    text = (await listed(admin)).text
    assert f"{'m' * 31}6" in text
    assert len(text) < 4000
    card = await opened(keyed, admin, f"{'m' * 31}1")
    assert len(card.text) < 4000


async def test_a_running_job_is_told_by_how_far_it_is_and_by_nobodys_words(keyed, admin):
    await comes(keyed, "garage", loaded="rare")
    member = await keyed.visitor("Member")
    keyed.painter.hold()  # which draws whatever is handed to anybody
    keyed.painter.facts = ()
    await keyed.painter.announce()  # so that it is garage's
    for _ in range(2):
        await member.begin(prompt="something private", count=1, checkpoint="rare")
    view = next(view for view in keyed.studio.dispatcher.workers if view.name == "garage")
    await until(lambda: len(view.assigned) == 2)
    held = next(iter(view.assigned.values()))
    await beats(keyed, "garage", m.Running(job=held.job, attempt=held.attempt, phase="sampling", step=8, of=20))
    text = (await listed(admin)).text
    assert "Drawing · rare · 40 % · 1 job behind it" in text
    assert "private" not in text
    await beats(keyed, "garage", m.Running(job=held.job, attempt=held.attempt, phase="fetching", step=250, of=1000))
    assert "Fetching models · rare · 25 %" in (await listed(admin)).text


async def test_who_went_is_away_since_then_and_stays_known_over_a_restart(keyed, admin):
    await comes(keyed, "garage")
    await listed(admin)
    del keyed.studio.dispatcher._floor.workers["garage"]
    at = int(time.time())
    for _ in range(2):
        text = (await listed(admin)).text
        assert abs(int(re.search(r"Away, last seen <t:(\d+):R>", text)[1]) - at) < 60
        assert "RTX 3090" in text
        await keyed.restart()


async def test_when_it_was_seen_last_is_written_when_it_goes_and_when_the_bot_stops(keyed, admin, monkeypatch):
    await comes(keyed, "garage")
    await comes(keyed, "attic")
    await listed(admin)
    later = time.time() + 60  # sooner than a worker that stays is written again
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: later))
    await listed(admin)
    del keyed.studio.dispatcher._floor.workers["garage"]
    await listed(admin)
    written = "SELECT seen_at FROM machine_workers w JOIN machines m ON m.id = w.machine_id WHERE name = ?"
    assert keyed.rows(written, "garage")[0]["seen_at"] == later
    assert keyed.rows(written, "attic")[0]["seen_at"] < later
    await keyed.stop_bot()
    assert keyed.rows(written, "attic")[0]["seen_at"] == later
    await keyed.start_bot()


async def test_many_workers_come_in_pages(keyed, admin):
    for number in range(1, 15):
        await comes(keyed, f"m{number:02}")
    card = await listed(admin)
    assert "15 idle" in card.text
    assert "**m07**" not in card.text
    await admin.press(card, "workers", 1)
    second = await admin.shown(card.id, lambda message: "**m07**" in message.text)
    await admin.press(second, "workers", 2)
    await admin.shown(card.id, lambda message: "**w1**" in message.text)
    await admin.set_locale("es-ES")
    assert "15 libres" in (await listed(admin)).text


async def test_the_doctor_names_other_versions_and_drained_workers(keyed, admin):
    await comes(keyed, "garage", app_version="0.0.9")
    await admin.told(await admin.slash("general", "workers drain", {"name": "w1"}))
    text = (await admin.shown(await admin.slash("general", "doctor"), lambda message: "garage" in message.text)).text
    assert "garage is of version 0.0.9" in text
    assert "w1 is drained" in text
    panel = await admin.shown(await admin.slash("general", "panel"), lambda message: "w1" in message.text)
    assert "**w1** · stage · takes no further jobs" in panel.text


# --- what is done -----------------------------------------------------------------------------------------------------


async def test_drained_by_command_and_let_go_on_by_a_button_also_over_a_restart(keyed, admin):
    await comes(keyed, "garage")
    await comes(keyed, "garage.2")
    await listed(admin)
    names = [
        choice["value"] for choice in await admin.autocomplete("general", "workers drain", "name", {"name": "gar"})
    ]
    assert {"garage", "garage.1", "garage.2"} <= set(names)
    told = await admin.told(await admin.slash("general", "workers drain", {"name": "garage"}))
    assert "Nobody else has this checkpoint" in told
    assert "rare" in told
    assert orders(keyed).drained == {"garage", "garage.2"}
    await keyed.restart()
    assert orders(keyed).drained == {"garage", "garage.2"}
    await comes(keyed, "garage", boot="two")
    assert [view.drained for view in keyed.studio.dispatcher.workers if view.name == "garage"] == [True]
    card = await opened(keyed, admin, "garage")
    await admin.press(card, "worker", cards.RESUME)
    await admin.shown(card.id, lambda message: "It gets jobs again" in message.text)
    assert orders(keyed).drained == {"garage.2"}
    told = await admin.told(await admin.slash("general", "workers resume", {"name": "garage.2"}))
    assert orders(keyed).drained == frozenset()
    assert "not drained" in await admin.told(await admin.slash("general", "workers resume", {"name": "garage"}))


async def test_a_drained_worker_that_has_run_dry_is_not_called_idle(keyed, admin):
    await comes(keyed, "garage")
    await listed(admin)
    await admin.told(await admin.slash("general", "workers drain", {"name": "garage"}))
    text = (await listed(admin)).text
    assert "1 idle · 1 drained" in text
    assert "🚰 **garage**" in text
    assert "\nIdle\n**Drained:**" not in text
    assert "\n**Drained:**" in text


async def test_two_machines_with_one_key_are_told_apart_while_both_are_there(keyed, admin):
    await comes(keyed, "garage", boot="one")
    await comes(keyed, "garage", boot="two")
    assert "Two machines" not in (await listed(admin)).text
    await beats(keyed, "garage", boot="one")
    assert "Two machines have this key" in (await listed(admin)).text
    view = keyed.studio.dispatcher._floor.workers["garage"]
    view.twin_at -= 60
    await beats(keyed, "garage", boot="two")
    assert "Two machines" not in (await listed(admin)).text


async def test_a_machine_that_the_bot_itself_drained_says_why(keyed, admin):
    await comes(keyed, "garage")
    await comes(keyed, "garage.2")
    await keyed.studio.fleet.roll.put_out("garage.2")
    assert orders(keyed).drained == {"garage", "garage.2"}
    card = await opened(keyed, admin, "garage")
    assert "I did that: it sent several results that are none of its jobs" in card.text
    await admin.press(card, "worker", cards.RESUME)
    gone_on = await admin.shown(card.id, lambda message: "It gets jobs again" in message.text)
    assert "I did that" not in gone_on.text


async def test_the_last_worker_that_is_drained_says_that_everything_waits(keyed, admin):
    told = await admin.told(await admin.slash("general", "workers drain", {"name": "w1"}))
    assert "whatever is asked for waits" in told
    member = await keyed.visitor("Member")
    waiting = await member.begin(count=1)
    assert not keyed.painter.assigned
    await admin.told(await admin.slash("general", "workers resume", {"name": "w1"}))
    await member.shown(waiting, finished)


async def test_a_removed_machines_job_is_drawn_by_another(keyed, admin):
    await added(admin)
    await comes(keyed, "garage", models=keyed.painter.facts, loaded="dreamy")
    await admin.told(await admin.slash("general", "workers drain", {"name": "w1"}))
    member = await keyed.visitor("Member")
    keyed.painter.hold()  # which draws whatever is handed to anybody
    waiting = await member.begin(count=1)
    view = next(view for view in keyed.studio.dispatcher.workers if view.name == "garage")
    await until(lambda: view.assigned)
    await admin.told(await admin.slash("general", "workers resume", {"name": "w1"}))
    asked = await admin.shown(await admin.slash("general", "workers remove", {"name": "garage"}))
    assert "Its key is revoked at once" in asked.text
    await admin.press(asked, "worker", cards.REMOVE)
    gone = await admin.shown(asked.id, lambda message: "is removed" in message.text)
    assert "by hand" not in gone.text
    keyed.painter.release()
    await member.shown(waiting, finished)
    assert [row["outcome"] for row in keyed.rows("SELECT outcome FROM attempts ORDER BY attempt")] == [
        "removed",
        "done",
    ]
    assert keyed.keys.allowed == {}
    assert "garage" not in (await listed(admin)).text
    await comes(keyed, "garage", boot="late")
    assert [view.name for view in keyed.studio.dispatcher.workers] == ["w1"]
    await keyed.restart()
    await comes(keyed, "garage", boot="later")
    assert [view.name for view in keyed.studio.dispatcher.workers] == ["w1"]
    await added(admin)  # and back it is
    await comes(keyed, "garage", boot="again")
    assert {view.name for view in keyed.studio.dispatcher.workers} == {"w1", "garage"}
