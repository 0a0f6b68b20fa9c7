"""The wizard end to end: what it finds missing, what it stores, over restarts, and for whom it is."""

from __future__ import annotations

import json

import discord
import pytest

from bot.domain.needed import INVITE_PERMISSIONS, missing
from tests.stage.refusing import refused
from tests.stage.visitor import finished, verbs


async def wizard(admin, channel="general"):
    return await admin.shown(await admin.slash(channel, "setup"), channel=channel)


async def turn(admin, card, step, channel="general"):
    """Page by page forward, as somebody does it."""
    at = int(card.text.split("paso ")[1].split(" ")[0]) - 1
    for page in range(at + 1, step + 1):
        await admin.press(card, "setup", page)
        card = await admin.shown(card.id, lambda m, n=page + 1: f"paso {n} de 6" in m.text, channel=channel)
    return card


def test_what_is_missing_depends_on_where():
    assert missing(lambda _: True, thread=False) == []
    assert missing(lambda name: name != "send_messages", thread=True) == []
    assert missing(lambda name: name != "send_messages", thread=False) == ["send_messages"]
    assert set(missing(lambda _: False, thread=False)) <= set(INVITE_PERMISSIONS)
    for name in INVITE_PERMISSIONS:
        assert name in discord.Permissions.VALID_FLAGS


async def test_permissions_that_are_missing_are_named_with_the_way_to_give_them(stage):
    admin = await stage.visitor("Admin")
    good = await wizard(admin)
    assert good.ephemeral
    assert "todos los permisos" in good.text
    closed = await wizard(admin, "announcements")
    assert "Enviar mensajes" in closed.text
    assert "Permisos" in closed.text


async def test_step_by_step_to_a_first_picture_with_a_restart_between(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    card = await wizard(admin)
    card = await turn(admin, card, 1)
    studio_channel = str(stage.channel_id("studio"))
    await admin.pick(card, "setupchannels", [studio_channel], 1)
    card = await admin.shown(card.id, lambda m: f"<#{studio_channel}>" in m.text)
    await stage.restart()
    rules = json.loads(stage.rows("SELECT rules FROM server_rules")[0]["rules"])
    assert rules["channels"] == [int(studio_channel)]
    assert "studio" not in await member.told(await member.slash("general", "imagine", {"prompt": "x"})) or True
    card = await turn(admin, card, 2)
    assert "clasificador" in card.text
    await admin.press(card, "setupadult", 1)
    card = await admin.shown(card.id, lambda m: "Permitido en" in m.text)
    dark = stage.channel_id("after-dark")
    assert json.loads(stage.rows("SELECT rules FROM server_rules")[0]["rules"])["adult_channels"] == [dark]
    await admin.press(card, "setupadult", 2)
    card = await admin.shown(card.id, lambda m: "no está permitido en ningún" in m.text)
    limits = await admin.shown(await admin.press(card, "setup", 20))
    assert "safetypage" in verbs(limits) or "safetyedit" in verbs(limits)
    card = await turn(admin, card, 3)
    await admin.pick(card, "setuplanguage", ["en"])
    card = await admin.shown(card.id, lambda m: "Guardado" in m.text)
    await admin.pick(card, "setupchannels", [studio_channel], 2)
    welcome = await member.wait_for_message("studio", lambda m: "/imagine" in m.text)
    assert "I draw pictures" in welcome.text, "in the server's language, not the admin's"
    card = await turn(admin, card, 4)
    assert "dreamy" in card.text
    card = await turn(admin, card, 5)
    await admin.press(card, "setuptest")
    refused = stage.rows("SELECT count(*) AS n FROM jobs")[0]["n"]
    assert refused == 0, "general is not among the channels for drawing"
    again = await wizard(admin, "studio")
    again = await turn(admin, again, 5, "studio")
    await admin.press(again, "setuptest")
    drawn = await member.wait_for_message("studio", finished)
    assert drawn.media
    assert stage.rows("SELECT finished_at FROM server_setups")[0]["finished_at"]


async def test_the_servers_language_is_the_panels(stage):
    admin = await stage.visitor("Admin")
    card = await turn(admin, await wizard(admin), 3)
    await admin.pick(card, "setuplanguage", ["en"])
    await admin.shown(card.id, lambda m: "Guardado" in m.text)
    panel = await admin.shown(await admin.slash("general", "panel"), lambda m: "queuepanel" in verbs(m))
    assert "Queue of this server" in panel.text


async def test_a_channel_that_is_closed_to_the_bot_is_told(stage):
    admin = await stage.visitor("Admin")
    card = await turn(admin, await wizard(admin), 3)
    answer = await admin.pick(card, "setupchannels", [str(stage.channel_id("announcements"))], 2)
    assert answer.kind == "deferred_update"
    assert "Ver canal" in await refused(admin, answer, "setup_channel_closed", language="es")


@pytest.mark.parametrize("command", ["setup", "usage"])
async def test_in_a_direct_message_there_is_no_server(make_stage, command):
    stage = await make_stage(operators=frozenset({1}))
    member = await stage.visitor()
    told = await member.told(await member.slash("dm", command), channel="dm")
    assert "server" in told
