"""The ways to a user, tried one after the other against a real client and a local Discord."""

import io
import time
from dataclasses import replace

import discord
import pytest

from bot.delivery.cards import Picture, cancelled_card, filename, result_card
from bot.delivery.post import Card, Poster, TooLargeError, Way
from bot.domain.ids import ChannelId, GuildId, MessageId, UserId
from bot.domain.job import TokenGrant

OVER = 10 * 60
"""Seconds after which Discord has forgotten a nonce."""


@pytest.fixture
def job(make_job, playground, channel_id):
    return make_job(
        user_id=UserId(playground.world.people["Member"]),
        guild_id=GuildId(playground.world.guild_id),
        channel_id=ChannelId(channel_id("general")),
    )


@pytest.fixture
def card(job, make_image, make_png):
    name, data = filename(job, 0, ".png"), make_png(16)
    view = result_card(job, [Picture(make_image(0), name)])
    return Card(view, lambda: [discord.File(io.BytesIO(data), name)])


@pytest.fixture
def poster(client):
    return Poster(client)


async def test_a_new_message_is_sent_once_however_often_it_is_tried(poster, job, card, messages):
    first = await poster.post(job, card)
    again = await poster.post(job, card)
    assert first.way is Way.CHANNEL
    assert again == first
    (message,) = messages(job.channel_id)
    assert message.attachments[0]["filename"] == filename(job, 0, ".png")
    assert not message.ping_user_ids  # the owner is named in it, and not called


async def test_a_forgotten_nonce_is_made_up_for_by_looking(poster, job, card, messages, clock):
    first = await poster.post(job, card)
    clock.advance(OVER)
    assert (await poster.post(job, card, look_first=True)) == first
    assert len(messages(job.channel_id)) == 1
    # Without looking it would be there twice.
    await poster.post(job, card)
    assert len(messages(job.channel_id)) == 2


async def test_looking_takes_only_what_is_ours_and_this_jobs(poster, job, card, messages, clock, client):
    other = replace(job, id="other" + job.id[5:])
    await poster.post(other, Card(cancelled_card(other)))
    await client.get_partial_messageable(job.channel_id).send(f"v1:reroll:{job.id}")
    posted = await poster.post(job, card, look_first=True)
    assert len(messages(job.channel_id)) == 3
    assert posted.message_id == messages(job.channel_id)[-1].id


async def test_an_edit_where_there_is_a_message(poster, job, card, messages):
    posted = await poster.post(job, Card(cancelled_card(job)))
    edited = await poster.post(replace(job, message_id=posted.message_id), card)
    assert edited.way is Way.EDIT
    assert edited.message_id == posted.message_id
    assert len(messages(job.channel_id)[0].attachments) == 1


async def test_a_token_that_discord_does_not_know_leads_to_the_next_way(poster, job, card):
    posted = await poster.post(job, Card(cancelled_card(job)))
    grant = TokenGrant("no-token", time.time() + 600)
    assert (await poster.post(replace(job, message_id=posted.message_id, grant=grant), card)).way is Way.EDIT
    assert (await poster.post(replace(job, grant=grant, id="x" * 16), card)).way is Way.CHANNEL


async def test_progress_is_not_worth_a_new_message(poster, job, card, messages):
    gone = replace(job, message_id=MessageId(12345))
    assert await poster.post(gone, card, only_edit=True) is None
    assert messages(job.channel_id) == []
    assert (await poster.post(gone, card)).way is Way.CHANNEL


async def test_a_reply_where_it_was_asked_by_reaction(poster, job, card, messages, client):
    asked = await client.get_partial_messageable(job.channel_id).send("look")
    await poster.post(replace(job, reply_to_id=MessageId(asked.id)), card)
    reply = messages(job.channel_id)[-1]
    assert int(reply.reference["message_id"]) == asked.id
    assert not reply.ping_user_ids
    # The message it answers may be gone.
    await asked.delete()
    assert (await poster.post(replace(job, id="y" * 16, reply_to_id=MessageId(asked.id)), card)).way is Way.CHANNEL


async def test_a_direct_message_where_the_channel_is_closed(
    poster, job, card, messages, channel_id, playground, make_image
):
    closed = replace(job, channel_id=ChannelId(channel_id("announcements")))
    pictures = [Picture(make_image(0), filename(job, 0, ".png"))]
    told = result_card(job, pictures, notes=["posted here because"])
    posted = await poster.post(closed, replace(card, direct_view=told))
    assert posted.way is Way.DIRECT
    dm = playground.world.discord.dm_channels[job.user_id]
    assert "posted here because" in str(messages(dm)[-1].components)


async def test_nowhere_left_to_go(poster, job, card, channel_id):
    assert await poster.post(replace(job, channel_id=ChannelId(1), user_id=UserId(1)), card) is None


async def test_too_large_is_a_signal_of_its_own(poster, job, make_image):
    name = filename(job, 0, ".png")
    view = result_card(job, [Picture(make_image(0), name)])
    huge = bytes(11 * 1024 * 1024)
    with pytest.raises(TooLargeError):
        await poster.post(job, Card(view, lambda: [discord.File(io.BytesIO(huge), name)]))
