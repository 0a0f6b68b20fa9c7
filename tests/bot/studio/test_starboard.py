"""The star board, end to end: posted once, gone with its pictures, and nothing where it may not stand."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.ids import UserId
from bot.playground.seen import Refused


async def board(stage, admin, channel="studio", people=2):
    text = await admin.told(
        await admin.slash("general", "starboard channel", {"channel": _channel(stage, channel), "people": people})
    )
    assert "⭐" in text


def _channel(stage, name):
    return str(next(c.id for c in stage.bot.guilds[0].channels if c.name == name))


async def posted(person, channel="studio"):
    return await person.wait_for_message(channel, lambda m: m.media and "⭐ **" in m.text)


async def starred(stage, people):
    """Until so many people like something, and the board has looked at it."""
    async with asyncio.timeout(60):
        while stage.rows("SELECT count(DISTINCT user_id) AS n FROM favourites")[0]["n"] != people:
            await asyncio.sleep(0.01)
    await stage.studio.history.starboard.looked()


async def test_posted_once_with_its_author_and_link(stage):
    admin, member, other = await stage.visitor("Admin"), await stage.visitor(), await stage.visitor("Other")
    await board(stage, admin)
    card = await member.imagine(prompt="a red fox", count=2)
    await member.react(card, "⭐")
    await starred(stage, 1)
    assert not [m for m in await member.messages("studio") if m.media]
    await other.react(card, "⭐")
    post = await posted(member)
    assert f"<@{member.user_id}>" in post.text
    assert "a red fox" in post.text
    assert len(post.media) == 2
    assert any(str(card.id) in str(item.get("url")) for item in post.components())
    await admin.react(card, "⭐")
    await starred(stage, 3)
    await other.react(card, "⭐", on=False)
    await starred(stage, 2)
    await other.react(card, "⭐")
    await starred(stage, 3)
    assert len([m for m in await member.messages("studio") if m.media]) == 1
    sent = ("POST", f"/channels/{_channel(stage, 'studio')}/messages")
    assert sum((method, path.removeprefix("/api/v10")) == sent for method, path in stage.requests) == 1


async def test_it_goes_with_its_card(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await board(stage, admin, people=1)
    card = await member.imagine(count=1)
    await admin.react(card, "⭐")
    post = await posted(member)
    await member.react(card, "❌")
    await member.gone(card)
    await member.gone(post, "studio")
    await stage.studio.history.starboard.looked()
    assert not stage.rows("SELECT * FROM star_posts")


async def test_it_goes_after_a_card_that_somebody_deleted_by_hand(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await board(stage, admin, people=1)
    card = await member.imagine(count=1)
    await admin.react(card, "⭐")
    post = await posted(member)
    await stage.studio.history.starboard.looked()
    assert await stage.studio.history.starboard.sweep() == 0
    stage.discord.delete_message(int(card.channel_id), int(card.id))
    assert await stage.studio.history.starboard.sweep() == 1
    await member.gone(post, "studio")


async def test_nothing_adult_where_it_may_not_stand(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await board(stage, admin, people=1)
    card = await member.imagine("after-dark", count=1)
    await admin.react(card, "⭐")
    await starred(stage, 1)
    assert not [m for m in await member.messages("studio") if m.media]
    assert not stage.rows("SELECT * FROM star_posts")


async def test_private_drafts_and_boards_that_are_off(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    card = await member.imagine(count=1)
    await admin.react(card, "⭐")
    await starred(stage, 1)
    await board(stage, admin, people=1)
    await stage.told()
    stage.execute("UPDATE jobs SET private = 1")
    await stage.studio.favourites.add(UserId(77), [member.images(card)[0]["id"]])
    await stage.studio.history.starboard.looked()
    assert not stage.rows("SELECT * FROM star_posts")
    stage.execute("UPDATE jobs SET private = 0")
    assert "tablón" in await admin.told(await admin.slash("general", "starboard off"))
    await member.react(card, "⭐")
    await starred(stage, 3)
    assert not stage.rows("SELECT * FROM star_posts")
    assert "/tablon" in await admin.told(await admin.slash("general", "starboard threshold", {"people": 3}))


async def test_a_bot_that_died_while_posting(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await board(stage, admin, people=1)
    fault = stage.fault("POST", r"/channels/\d+/messages", 503, times=99)
    card = await member.imagine(count=1)
    await admin.react(card, "⭐")
    async with asyncio.timeout(60):
        while not stage.rows("SELECT * FROM star_posts"):
            await asyncio.sleep(0.01)
    fault.times = 0
    await stage.restart(kill=True)
    await posted(member)
    await stage.studio.history.starboard.looked()
    assert stage.rows("SELECT message_id FROM star_posts")[0]["message_id"] is not None


async def test_a_channel_that_is_closed_is_said(stage):
    admin = await stage.visitor("Admin")
    answer = await admin.slash("general", "starboard channel", {"channel": _channel(stage, "announcements")})
    assert "Enviar mensajes" in await admin.told(answer)
    member = await stage.visitor()
    with pytest.raises(Refused):
        await member.slash("general", "retention", {"days": 3})
