"""How results come back (ARCHITECTURE, "The ways to a user") whatever goes wrong on the way: every kind of result comes
exactly once, whether its token, its message, its channel or only an answer of Discord's is lost."""

import asyncio
import contextlib

import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.delivery import deliver
from bot.playground.person import Refused
from bot.studio import starboard
from bot.studio.history import exporting
from tests.stage.matrix import describing
from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.visitor import finished

EDITS, SENDS = r"^/(webhooks/.*|channels/\d+)/messages/", r"^/channels/\d+/messages$"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(deliver, "RETRY_S", (0.01,))
    monkeypatch.setattr(exporting, "RETRY_S", 0.01)
    monkeypatch.setattr(starboard, "RETRY_S", 0.01)


# --- what is asked for: each leaves its job with the painter, not yet drawn -------------------------------------------


async def normal(stage, member):
    stage.painter.hold()
    await member.begin(count=1, width=512, height=512)


async def private(stage, member):
    stage.painter.hold()
    await member.begin(prompt="a red apple --private", count=1, width=512, height=512)


async def describe(stage, member):
    await describing(stage)
    stage.painter.hold()
    await member.slash("general", "describe", {}, {"image": ("a.png", picture(INFOTEXT))})


async def upscale(stage, member):
    card = await member.imagine(count=1, width=512, height=512)
    stage.painter.hold()
    await member.press(card, "upscale")


async def combination(stage, member):
    await member.imagine(count=1, width=512, height=512)
    options = {"prompt": "a {cat|dog} --combinatorial", "width": 512, "height": 512}
    offer = await member.shown(await member.slash("general", "imagine", options))
    stage.painter.hold()
    await member.press(offer, "combine", 1)


# --- what goes wrong meanwhile ----------------------------------------------------------------------------------------


async def nothing(stage, job):
    pass


async def token_over(stage, job):
    stage.clock.advance(seconds=901)
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET token_expires_at = 1")


async def message_deleted(stage, job):
    stage.discord.delete_message(job["channel_id"], job["message_id"])


async def channel_closed(stage, job):
    await token_over(stage, job)
    deny = discord.Permissions(view_channel=True, send_messages=True).value
    role = next(r.id for r in stage.discord.guilds[stage.guild_id].roles.values() if r.managed)
    stage.discord.set_overwrite(job["channel_id"], Overwrite(role, OverwriteType.ROLE, deny=deny))


async def channel_deleted(stage, job):
    stage.discord.delete_channel(job["channel_id"])


async def rate_limited(stage, job):
    return stage.fault("PATCH", EDITS, 429, times=2)


async def edit_fails(stage, job):
    return stage.fault("PATCH", EDITS, 503, times=2)


async def answer_of_an_edit_lost(stage, job):
    return stage.fault("PATCH", EDITS, 503, carried_out=True)


async def send_fails(stage, job):
    await message_deleted(stage, job)
    return stage.fault("POST", SENDS, 503, times=2)


async def answer_of_a_send_lost(stage, job):
    await message_deleted(stage, job)
    return stage.fault("POST", SENDS, 503, carried_out=True)


async def rate_limited_send(stage, job):
    await message_deleted(stage, job)
    return stage.fault("POST", SENDS, 429, times=2)


async def too_large(stage, job):
    return stage.fault("PATCH", EDITS, 413, code=40005)


KINDS = (normal, private, describe, upscale, combination)
TROUBLES = (
    nothing, token_over, message_deleted, channel_closed, channel_deleted, rate_limited, edit_fails,
    answer_of_an_edit_lost, send_fails, answer_of_a_send_lost, rate_limited_send, too_large,
)  # fmt: skip
DIRECT = {channel_closed, channel_deleted}
"""Neither the card nor its channel is left."""


async def results(member, job_id):
    """Where its user sees a result of that job: "general" or "dm", once a message."""
    found = []
    for channel in ("general", "dm"):
        with contextlib.suppress(Refused, KeyError):
            for message in await member.messages(channel):
                over = finished(message) or "drawtags" in str(message.raw["components"])
                if over and f":{job_id}" in str(message.raw["components"]):
                    found.append(channel)
    return found


async def carded(stage):
    """The one job that is asked for, once its card is written down."""
    async with asyncio.timeout(60):
        while not (rows := stage.rows("SELECT * FROM jobs WHERE status = 'assigned' AND message_id IS NOT NULL")):
            await asyncio.sleep(0.005)
    await stage.studio.deliverer.answers_over()
    return rows[0]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda f: f.__name__)
async def test_a_result_comes_exactly_once(stage, kind, trouble):
    if kind is describe and trouble is too_large:
        pytest.skip("words are never too large")
    member = await stage.visitor()
    await kind(stage, member)
    job = await carded(stage)
    fault = await trouble(stage, job)
    stage.painter.release()
    await stage.told()
    if fault is not None:
        assert fault.met or job["private"]
    where = await results(member, job["id"])
    gone = trouble in (message_deleted, send_fails, answer_of_a_send_lost, rate_limited_send)
    direct = trouble in DIRECT or (job["private"] and (gone or trouble is token_over))
    assert where == ["dm" if direct else "general"]
    assert stage.rows("SELECT status FROM jobs WHERE id = ?", job["id"])[0]["status"] == "delivered"


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("status", [429, 503])
async def test_an_export_comes_exactly_once_by_direct_message(stage, monkeypatch, status, carried_out):
    monkeypatch.setattr(exporting, "TOKEN_LIFE_S", 0)
    member = await stage.visitor()
    await member.imagine(count=1, width=64, height=64)
    card = await member.shown(await member.slash("general", "history"))
    fault = stage.fault("POST", SENDS, status, carried_out=carried_out)
    await member.press(card, "historyexport")
    async with asyncio.timeout(60):
        while not stage.rows("SELECT * FROM exports WHERE told = 1"):
            await asyncio.sleep(0.005)
    assert fault.met == 1
    assert len([m for m in await member.messages("dm") if "exportpart" in str(m.raw["components"])]) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_hiccup_while_an_export_is_packed_does_not_stop_it(stage, monkeypatch, status):
    monkeypatch.setattr(exporting, "EDIT_EVERY_S", 0)
    monkeypatch.setattr(exporting, "REQUEST_LIMIT_BYTES", 9000 + exporting.MARGIN_BYTES)
    monkeypatch.setattr(exporting, "RETRY_S", 3600)
    member = await stage.visitor()
    await member.imagine(count=4, width=256, height=256)
    card = await member.shown(await member.slash("general", "history"))
    fault = stage.fault("PATCH", r"^/webhooks/", status, times=2)  # its first answer, and how far it is
    answer = await member.press(card, "historyexport")
    await member.shown(answer, lambda m: "exportpart" in str(m.raw["components"]))
    assert fault.met == 2


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("status", [413, 429, 503])
async def test_a_star_board_post_comes_exactly_once(stage, status, carried_out):
    if status == 413 and carried_out:
        pytest.skip("what is too large is never carried out")
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    options = {"channel": str(stage.channel_id("studio")), "people": 1}
    await admin.told(await admin.slash("general", "starboard channel", options))
    card = await member.imagine(count=1, width=512, height=512)
    fault = stage.fault("POST", SENDS, status, code=40005 if status == 413 else 0, carried_out=carried_out)
    await member.react(card, "⭐")
    async with asyncio.timeout(60):
        while not stage.rows("SELECT * FROM star_posts WHERE message_id IS NOT NULL"):
            await asyncio.sleep(0.005)
    assert fault.met == 1
    assert len([m for m in await member.messages("studio") if m.media]) == 1
