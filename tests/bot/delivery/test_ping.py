"""The ping: whom it may reach, by which way, and how often."""

from types import SimpleNamespace

import discord
import pytest

from bot.delivery.ping import Pinger
from bot.delivery.post import Posted, Way
from bot.domain.ids import MessageId


class Office:
    """A client and its channel that take note of what is sent."""

    application_id = None

    def __init__(self, *, wants=True, forbidden=False):
        self.sent, self.times, self.wants, self.forbidden = [], 0, wants, forbidden

    def get_channel(self, _):
        return None

    def get_partial_messageable(self, *_, **__):
        return self

    async def send(self, text, **options):
        if self.forbidden:
            raise discord.Forbidden(SimpleNamespace(status=403, reason="no"), "no")
        self.sent.append((text, options))

    def get(self, _where, _key):
        return self.wants

    async def start_pinging(self, _):
        self.times += 1
        return self.times == 1

    def token_lives(self, _):
        return False

    async def ping(self, job, way=Way.TOKEN, **options):
        pinger = Pinger(client=self, jobs=self, preferences=self, poster=self)
        await pinger.ping(job, Posted(way, MessageId(7)), **options)


async def test_it_mentions_its_user_and_lets_nobody_else_be_pinged(make_job):
    office = Office()
    await office.ping(make_job(prompt="@everyone <@&5> <@6>"))
    ((text, options),) = office.sent
    assert text.startswith("<@11>")
    assert "everyone" not in text
    assert options["allowed_mentions"].to_dict() == {"parse": [], "users": [11]}
    assert options["reference"].message_id == 7
    assert options["nonce"].endswith("p")


async def test_it_comes_once(make_job):
    office = Office()
    await office.ping(make_job())
    await office.ping(make_job())
    assert len(office.sent) == 1


@pytest.mark.parametrize(("way", "wants"), [(Way.DIRECT, True), (Way.TOKEN, False)])
async def test_it_does_not_come_where_it_is_not_wanted_or_the_message_rings_itself(make_job, way, wants):
    office = Office(wants=wants)
    await office.ping(make_job(), way)
    assert (office.sent, office.times) == ([], 0)


async def test_no_way_to_ping_is_no_trouble(make_job):
    office = Office(forbidden=True)
    await office.ping(make_job(), failed=True)
    assert office.sent == []
