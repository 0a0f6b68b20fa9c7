"""Direct messages, private pictures, reactions and places without rights: the same commands, and no stack trace."""

import asyncio

import pytest

from bot.domain.preferences import PRIVATE, Level
from gpu_worker.protocol.results import TEXT_MIME, Description, Tag
from tests.stage.painter import Drawn
from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.visitor import finished, verbs


@pytest.mark.parametrize("command", ["png-info", "upscale", "inpaint", "random", "describe", "repeat"])
async def test_in_direct_messages(stage, command):
    stage.painter.tasks = (*stage.painter.tasks, "describe")
    said = Description(general=(Tag(name="sky", score=0.9),)).model_dump_json().encode()
    stage.painter.answers["describe"] = lambda spec: [Drawn(said, 0, 0, 0, "", TEXT_MIME)]
    await stage.painter.announce()
    member = await stage.visitor()
    files = {"image": ("a.png", picture(INFOTEXT))} | ({"mask": ("m.png", picture())} if command == "inpaint" else {})
    options = {"prompt": "a hat"} if command == "inpaint" else {}
    if command == "repeat":
        await member.imagine("dm", count=1)
    takes = command not in ("random", "repeat")
    answer = await member.slash("dm", command, options, attachments=files if takes else None)
    done = {"png-info": lambda one: "a lighthouse" in one.text, "describe": lambda one: "drawtags" in verbs(one)}
    card = await member.shown(answer, done.get(command, finished), "dm")
    assert card.text


async def test_the_menus_in_direct_messages(stage):
    member = await stage.visitor()
    card = await member.imagine("dm", count=1)
    assert "Seed" in (await member.shown(await member.context_menu(card, "Picture info"), channel="dm")).text
    assert (await member.context_menu(card, "Upscale")).kind == "modal"
    assert (await member.context_menu(card, "Save as style")).kind == "modal"


async def test_in_a_thread(stage):
    member = await stage.visitor()
    answer = await member.slash("Colour tests", "upscale", {}, attachments={"image": ("a.png", picture())})
    assert await member.shown(answer, finished, "Colour tests")


async def test_nobody_elses_private_pictures(stage):
    ann, member = await stage.visitor("Ann"), await stage.visitor()
    card = await ann.imagine(count=1)
    image = ann.images(card)[0]["id"]
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET private = 1")
    assert "not yours to see" in await member.told(await member.slash("general", "upscale", {"picture": image}))
    assert (await ann.drawn(await ann.slash("general", "upscale", {"picture": image}))).media


async def test_reactions_on_what_has_no_prompt(stage):
    member = await stage.visitor()
    card = await member.drawn(await member.slash("general", "upscale", {}, attachments={"image": ("a.png", picture())}))
    await member.react(card, "🔁")
    told = await member.wait_for_message("dm", lambda one: one.author_is_bot)
    assert "no prompt behind this" in told.text
    await member.react(card, "❌")
    await member.gone(card)


async def test_a_message_that_is_deleted_meanwhile(stage):
    member = await stage.visitor()
    stage.painter.hold()
    answer = await member.slash("general", "upscale", {}, attachments={"image": ("a.png", picture())})
    await stage.painter.asked(1)
    stage.discord.delete_message(stage.channel_id("general"), int(answer.message_id))
    stage.painter.release()
    card = await member.wait_for_message("general", lambda one: finished(one) and one.id != answer.message_id)
    assert "Enlarged" in card.text


async def test_two_press_at_once(stage):
    ann, member = await stage.visitor("Ann"), await stage.visitor()
    card = await member.drawn(await member.slash("general", "upscale", {}, attachments={"image": ("a.png", picture())}))
    forms = await asyncio.gather(ann.press(card, "enlarge"), member.press(card, "enlarge"))
    answers = await asyncio.gather(
        *(one.fill(form, {"factor": "2"}) for one, form in zip((ann, member), forms, strict=True))
    )
    for one, answer in zip((ann, member), answers, strict=True):
        drawn = await one.drawn(answer)
        assert str(one.job(drawn)["user_id"]) == one.user_id


async def test_an_answer_that_is_gone(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    await stage.told()
    fault = stage.fault("PATCH", r"^/webhooks/", 404, code=10008)
    answer = await member.context_menu(card, "Picture info")
    assert answer.kind == "deferred"
    await member.wait_for_message("general", lambda one: one.ephemeral and "too long to answer" in one.text)
    assert fault.met == 1


@pytest.mark.parametrize("command", ["upscale", "inpaint", "describe"])
async def test_whoever_draws_for_themselves_alone_shows_nothing_to_others(stage, command):
    stage.painter.tasks = (*stage.painter.tasks, "describe")
    said = Description(general=(Tag(name="sky", score=0.9),)).model_dump_json().encode()
    stage.painter.answers["describe"] = lambda spec: [Drawn(said, 0, 0, 0, "", TEXT_MIME)]
    await stage.painter.announce()
    member, ann = await stage.visitor(), await stage.visitor("Ann")
    await stage.studio.preferences.put(Level.USER, int(member.user_id), PRIVATE, True)
    before = {message.id for message in await ann.messages("general")}
    files = {"image": ("a.png", picture())} | ({"mask": ("m.png", picture())} if command == "inpaint" else {})
    options = {"prompt": "a hat"} if command == "inpaint" else {}
    answer = await member.slash("general", command, options, attachments=files)
    card = await member.shown(answer, (lambda one: "drawtags" in verbs(one)) if command == "describe" else finished)
    assert card.ephemeral
    assert {message.id for message in await ann.messages("general")} == before
