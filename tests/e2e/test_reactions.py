"""Reactions on a card do what its buttons do."""

import asyncio

from gpu_worker.language.infotext import parse_infotext
from tests.e2e.visitor import ENDLESS, finished


async def reply_to(visitor, card):
    """The finished card that answers a reaction: a reply to the message that was reacted to."""

    def fits(message):
        return (message.raw.get("message_reference") or {}).get("message_id") == card.id and finished(message)

    return await visitor.wait_for_message("general", fits, 60)


async def test_reroll_and_upscale(member, moderator):
    card = await member.imagine(prompt="a fox", seed=6, steps=3, count=2)
    await moderator.react(card, "🔁")
    rerolled = await reply_to(member, card)
    assert str(member.job(rerolled)["user_id"]) == moderator.user_id
    assert member.spec(rerolled)["seed"] != 6
    await member.react(rerolled, "⬆️")
    upscaled = await reply_to(member, rerolled)
    (picture,) = await member.pictures(upscaled)
    assert picture.size == (256, 256)
    # Its buttons work like any other's.
    assert (await member.press(upscaled, "Reroll")).media


async def test_the_original_comes_by_direct_message(member):
    card = await member.imagine(prompt="a rocket", seed=41, steps=3, count=2)
    await member.react(card, "✉️")
    files = sorted(member.files(card))
    wanted = {path.read_bytes() for path in files}
    got = {}
    for index, file in enumerate(files, start=1):
        message = await member.wait_for_message(
            "dm", lambda m, name=file.name: any(name == a["filename"] for a in m.attachments), 20
        )
        got[message.id] = await member.download(message.media[0])
        assert parse_infotext(message.content.replace("\\", "")).fields["Seed"] == str(40 + index)
    assert set(got.values()) == wanted


async def test_keep_and_take_it_back(member):
    card = await member.imagine(prompt="a crown", steps=2, count=1)

    async def kept(wanted):
        for _ in range(100):
            sql = "SELECT count(*) FROM favourites WHERE image_id = ?"
            if member.product.rows(sql, member.images(card)[0]["id"])[0][0] == wanted:
                return True
            await asyncio.sleep(0.05)
        return False

    await member.react(card, "⭐")
    assert await kept(1)
    await member.react(card, "⭐", on=False)
    assert await kept(0)


async def test_delete_only_by_who_may(member, moderator):
    card = await moderator.imagine(prompt="a robot", steps=2, count=1)
    await member.react(card, "❌")
    refusal = await member.wait_for_message("dm", lambda m: "somebody else's picture" in m.text, 10)
    assert refusal.author_is_bot
    assert await member.message("general", card.id) is not None
    mine = await member.imagine(prompt="a robot", steps=2, count=1)
    await moderator.react(mine, "❌")
    await member.gone(mine.id)
    await moderator.react(card, "❌")
    await member.gone(card.id)


async def test_a_waiting_card_that_is_deleted_stays_deleted(member):
    running = await member.begin(prompt="a banana", **ENDLESS)
    waiting = await member.begin(prompt="a banana that nobody wants", **ENDLESS)
    await member.react(await member.message("general", waiting), "❌")
    await member.gone(waiting)
    await member.react(await member.message("general", running), "❌")
    await member.gone(running)
    await member.imagine(prompt="a star", steps=2, count=1)
    texts = [m.text for m in await member.messages("general")]
    assert not any("banana" in text for text in texts)


async def test_other_reactions_and_other_messages_mean_nothing(member):
    card = await member.imagine(prompt="a star", steps=2, count=1)
    await member.react(card, "👍")
    said = await member.say("general", "hello")
    await member.react(await member.message("general", said), "🔁")
    await asyncio.sleep(0.3)
    newest = (await member.messages("general"))[-1]
    assert newest.id == said
