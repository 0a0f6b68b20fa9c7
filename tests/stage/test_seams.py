"""What lies between two topics: private pictures that are gone on from elsewhere, deleted ones, two presses at once."""

from __future__ import annotations

import asyncio

import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from gpu_worker.protocol.results import TEXT_MIME
from tests.stage.matrix import SEEN, describing
from tests.stage.painter import FACTS, Drawn
from tests.stage.pictures_given import INFOTEXT
from tests.stage.test_blend import ADAPTERS
from tests.stage.visitor import finished, verbs


async def _private(member):
    card = await member.imagine(prompt="a red fox --private", count=1, seed=5)
    assert card.ephemeral
    return card, member.images(card)[0]["id"]


async def _info(member, image):
    answer = await member.slash("general", "png-info", {"picture": image})
    return await member.shown(answer, lambda m: "usefound" in verbs(m))


async def test_a_private_picture_stays_private_as_an_image_prompt(stage):
    stage.painter.facts = (*FACTS, *ADAPTERS)
    await stage.painter.announce()
    member = await stage.visitor()
    _, image = await _private(member)
    form = await member.press(await _info(member, image), "findprompt")
    made = await member.shown(await member.fill(form, {"prompt": "in winter"}), finished)
    assert made.ephemeral
    assert [row["private"] for row in stage.rows("SELECT private FROM jobs")] == [1, 1]


async def test_the_text_of_a_private_picture_stays_private(stage):
    member = await stage.visitor()
    _, image = await _private(member)
    panel = await member.shown(await member.press(await _info(member, image), "usefound"))
    _draws_for_its_user(panel)
    assert (await member.shown(await member.press(panel, "draw", 1), finished)).ephemeral


async def test_what_stands_in_a_private_picture_stays_private_behind_its_description(stage):
    await describing(stage)
    told = SEEN.model_copy(update={"infotext": INFOTEXT}).model_dump_json().encode()
    stage.painter.answers["describe"] = lambda spec: [Drawn(told, 0, 0, 0, "", TEXT_MIME)]
    member = await stage.visitor()
    _, image = await _private(member)
    answer = await member.slash("general", "describe", {"picture": image})
    card = await member.shown(answer, lambda m: "useseen" in verbs(m))
    assert card.ephemeral
    panel = await member.shown(await member.press(card, "useseen"))
    _draws_for_its_user(panel)
    # Still so once a list of the panel is used, whose message says nothing of where it came from.
    assert [row["private"] for row in stage.rows("SELECT private FROM drafts")] == [1]


def _draws_for_its_user(panel):
    """Everybody sees it only where that is asked for."""
    asked = [str(item.get("custom_id")) for item in panel.components() if ":draw:" in str(item.get("custom_id"))]
    assert [address[-2:] for address in asked] == [":1", ":2"]


async def _opened(member):
    card = await member.shown(await member.slash("general", "history", {}), lambda m: "historyopen" in verbs(m))
    listed = next(item for item in card.components() if ":historyopen:" in str(item.get("custom_id")))["options"]
    await member.pick(card, "historyopen", [listed[0]["value"]])
    return await member.shown(card.id, lambda m: "historysend" in verbs(m))


async def test_going_on_from_a_private_picture_shows_nobody_that_something_waits(stage):
    member = await stage.visitor()
    await _private(member)
    page = await _opened(member)
    form = await member.pick(page, "historysend", ["img2img"])
    answer = await member.fill(form, {"prompt": "a blue fox"})
    made = await member.shown(answer, finished)
    assert made.ephemeral
    assert made.id == answer.message_id  # answered alone from the first moment


@pytest.mark.parametrize("typed", ["nan", "inf", "1e999"])
async def test_a_number_that_is_none_is_told(stage, typed):
    member = await stage.visitor()
    await member.imagine(count=1)
    page = await _opened(member)
    form = await member.pick(page, "historysend", ["img2img"])
    told = await member.told(await member.fill(form, {"prompt": "a fox", "denoise": typed}))
    assert "I cannot read the parameters" in told


async def test_a_pruned_test_picture_is_drawn_again_as_anybodys(stage):
    member = await stage.visitor()
    await member.imagine(count=1)
    await stage.told()
    stage.execute("UPDATE jobs SET action = 'test'")
    stage.execute("UPDATE images SET action = 'test', pruned_at = 1")
    card = await member.shown(await member.slash("general", "history", {}), lambda m: "historyopen" in verbs(m))
    listed = next(item for item in card.components() if ":historyopen:" in str(item.get("custom_id")))["options"]
    await member.pick(card, "historyopen", [listed[0]["value"]])
    page = await member.shown(card.id, lambda m: "historypicture" in verbs(m))
    await member.shown(await member.press(page, "historypicture", 5), finished)
    # A test counts against no limit and may be made anywhere.
    assert [row["action"] for row in stage.rows("SELECT action FROM jobs ORDER BY created_at")][1] != "test"


async def test_a_link_with_a_number_that_no_message_has(stage):
    member = await stage.visitor()
    link = "https://discord.com/channels/1/2/99999999999999999999"
    told = await member.told(await member.slash("general", "png-info", {"picture": link}))
    assert "I know no picture" in told


async def test_what_is_deleted_is_sent_to_nobody(stage):
    member = await stage.visitor()
    card = await member.imagine(count=2)
    page = await _opened(member)
    await member.press(page, "historydelete", 3)
    ask = await member.shown(page.id, lambda m: "historydelete" in verbs(m) and "historysend" not in verbs(m))
    await member.press(ask, "historydelete", 4)
    undo = await member.wait_for_message("general", lambda m: "historyundo" in verbs(m))
    await member.react(card, "✉️")
    await member.wait_for_message("dm", lambda m: m.author_is_bot and (m.attachments or m.media))
    await member.react(card, "❌")  # whoever deletes all of it, deletes what could be brought back, too
    await member.gone(card)
    assert len([m for m in await member.messages("dm") if m.attachments or m.media]) == 1
    assert "too late" in await member.told(await member.press(undo, "historyundo"))
    assert all(row["deleted_at"] for row in stage.rows("SELECT deleted_at FROM images"))


async def test_two_presses_of_draw_at_once_draw_once(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    more = await member.shown(await member.press(card, "more"))
    panel = await member.shown(await member.press(more, "tweak"))
    stage.painter.hold()
    await asyncio.gather(*(member.press(panel, "draw") for _ in range(4)))
    stage.painter.release()
    await stage.told()
    assert len(stage.rows("SELECT id FROM jobs")) == 2


@pytest.mark.parametrize("kind", ["hidden", "team"])
async def test_the_star_board_shows_nobody_what_they_could_not_see(stage, kind):
    """`hidden` from everybody; `team`: neither channel is for everybody, and more people see the board's."""
    admin = await stage.visitor("Admin")
    view = discord.Permissions(view_channel=True).value
    hidden = Overwrite(stage.guild_id, OverwriteType.ROLE, deny=view)
    role = stage.discord.create_role(stage.guild_id, "Known")
    known = Overwrite(role.id, OverwriteType.ROLE, allow=view)
    program = Overwrite(stage.bot.user.id, OverwriteType.MEMBER, allow=view)
    stage.discord.create_channel(stage.guild_id, "team", overwrites=[hidden, program])
    some = [hidden, program, known] if kind == "team" else []
    stars = stage.discord.create_channel(stage.guild_id, "stars", overwrites=some)
    async with asyncio.timeout(60):
        while stage.bot.get_channel(stars.id) is None:
            await asyncio.sleep(0.01)
    answer = await admin.slash("general", "starboard channel", {"channel": str(stars.id), "people": 1})
    assert "⭐" in await admin.told(answer)
    card = await admin.imagine("team", count=1)
    await admin.react(card, "⭐")
    async with asyncio.timeout(60):
        while not stage.rows("SELECT * FROM favourites"):
            await asyncio.sleep(0.01)
    await stage.studio.history.starboard.looked()
    assert not stage.rows("SELECT * FROM star_posts")


async def test_who_moderates_one_channel_moderates_no_other(stage):
    """A channel's own moderator neither stops nor reads what is drawn elsewhere."""
    stage.painter.hold()
    ann, keeper, moderator = await stage.visitor("Ann"), await stage.visitor("Keeper"), await stage.visitor("Moderator")
    may = discord.Permissions(view_channel=True, manage_messages=True).value
    own = Overwrite(int(keeper.user_id), OverwriteType.MEMBER, allow=may)
    place = stage.discord.create_channel(stage.guild_id, "corner", overwrites=[own])
    async with asyncio.timeout(60):
        while stage.bot.get_channel(place.id) is None:
            await asyncio.sleep(0.01)
    here, there = await ann.begin("corner", prompt="a lamp"), await ann.begin("general", prompt="a secret")
    jobs = {row["channel_id"]: row["id"] for row in stage.rows("SELECT id, channel_id FROM jobs")}
    lamp, secret = jobs[place.id], jobs[stage.channel_id("general")]
    assert here != there
    offered = [choice["value"] for choice in await keeper.autocomplete("corner", "cancel", "job", {"job": ""})]
    assert offered == [lamp]
    told = await keeper.told(await keeper.slash("corner", "cancel", {"job": secret}), "corner")
    assert "only" in told.lower()
    assert not stage.rows("SELECT 1 FROM jobs WHERE cancel_by IS NOT NULL OR status = 'cancelled'")
    assert len(await moderator.autocomplete("general", "cancel", "job", {"job": ""})) == 2
    stage.painter.release()
    await stage.told()
