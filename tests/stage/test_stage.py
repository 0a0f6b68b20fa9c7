"""The stage itself, and an example of each thing that one does on it."""

import io
import threading

import pytest
from discord.gateway import KeepAliveHandler
from PIL import Image

from gpu_worker.language.infotext import parse_infotext
from tests.stage.visitor import finished, verbs


async def test_a_command_its_card_and_a_button(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple", steps=4, count=2, width=256, height=128, seed=7)
    assert len(card.media) == 2
    data = await member.download(card.media[0])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (256, 128)
        assert parse_infotext(picture.info["parameters"]).fields["Seed"] == "7"
    again = await member.drawn(await member.press(card, "reroll"))
    assert member.spec(again)["seed"] != 7
    assert [spec.prompt for spec in stage.painter.specs] == ["a red apple"] * 2


async def test_a_form(stage):
    member = await stage.visitor()
    card = await member.imagine(seed=8, count=1)
    form = await member.press(card, "edit")
    edited = await member.drawn(await member.fill(form, {"prompt": "a green square"}))
    assert member.spec(edited)["prompt"] == "a green square"


async def test_people_in_their_languages(stage):
    admin, ann = await stage.visitor("Admin"), await stage.visitor("Ann")
    card = await ann.imagine(count=1)
    assert "trabajos" in await admin.told(await admin.slash("general", "queue"))
    assert "jobs" in await ann.told(await ann.slash("general", "queue"))
    assert str(ann.job(card)["user_id"]) == ann.user_id


async def test_trouble_of_the_worker(stage):
    member = await stage.visitor()
    stage.painter.fail("oom")
    failed = await member.shown(await member.begin(), lambda m: "retry" in verbs(m))
    stage.painter.hold()
    waiting = await member.begin()
    await member.shown(waiting, lambda m: "cancel" in verbs(m))
    stage.painter.release()
    await member.shown(waiting, finished)
    assert (await member.drawn(await member.press(failed, "retry"))).media


async def test_trouble_of_discord(stage):
    member = await stage.visitor()
    fault = stage.fault("PATCH", r"^/webhooks/", 429, times=2)
    card = await member.imagine(count=1)
    assert fault.met == 2
    assert card.media


@pytest.mark.parametrize("kill", [False, True])
async def test_another_bot_on_the_same_database(stage, kill):
    member = await stage.visitor()
    done = await member.imagine(count=1)
    stage.painter.hold()
    waiting = await member.begin(prompt="a pear")
    await stage.painter.asked(2)
    await stage.restart(kill=kill)
    stage.painter.release()
    assert (await member.shown(waiting, finished)).media
    assert (await member.drawn(await member.press(done, "reroll"))).media
    assert len([spec for spec in stage.painter.specs if spec.prompt == "a pear"]) == 2


async def test_no_thread_outlives_its_stage(tmp_path):
    from tests.stage.stage import open_stage

    before = {thread for thread in threading.enumerate() if isinstance(thread, KeepAliveHandler)}
    async with open_stage(tmp_path) as stage:
        await stage.restart(kill=True)
        assert {thread for thread in threading.enumerate() if isinstance(thread, KeepAliveHandler)} - before
    assert {thread for thread in threading.enumerate() if isinstance(thread, KeepAliveHandler)} == before
