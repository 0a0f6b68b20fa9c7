"""The ways to a user when the first one is closed: small upload limits, tokens that ended, cards and channels gone."""

import io

import pytest
from PIL import Image

from tests.e2e.local_discord import LocalDiscord
from tests.e2e.product import Product
from tests.e2e.visitor import finished

LIMIT_BYTES = 17_000
"""A picture of 128 px fits as WebP, one of 256 px as JPEG, one of 640 px not at all."""
USER_COMMENT = 0x9286


@pytest.fixture(scope="module")
def discord(tmp_path_factory):
    found = LocalDiscord(tmp_path_factory.mktemp("discord"), LIMIT_BYTES)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def product(discord, tmp_path_factory):
    found = Product(tmp_path_factory.mktemp("small"), {}, discord.start()).start()
    yield found
    found.stop()


def infotext(picture):
    comment = picture.getexif().get_ifd(0x8769)[USER_COMMENT]
    assert comment.startswith(b"UNICODE\0")
    return comment[8:].decode("utf-16-be")


def token_over(visitor, card_id):
    """As if fifteen minutes had passed for this card: Discord answers 50027, and the bot may or may not know it."""
    visitor.product.execute("UPDATE jobs SET token_expires_at = 1 WHERE id = ?", visitor.job(card_id)["id"])


async def test_too_large_for_the_server_goes_smaller_with_its_parameters(member):
    card = await member.imagine(prompt="a cat", seed=3, steps=16, count=2)
    assert "lossless WebP" in card.text
    sent = [await member.download(url) for url in card.media]
    assert all(len(data) <= LIMIT_BYTES for data in sent)
    for index, (data, path) in enumerate(zip(sent, member.files(card), strict=True)):
        picture, stored = Image.open(io.BytesIO(data)), Image.open(path)
        assert picture.format == "WEBP"
        assert picture.convert("RGB").tobytes() == stored.convert("RGB").tobytes()
        assert infotext(picture) == stored.text["parameters"]
        assert f"Seed: {3 + index}" in infotext(picture)

    upscaled = await member.press(card, "U1")
    assert "Sent as JPEG" in upscaled.text
    (picture,) = await member.pictures(upscaled)
    assert (picture.format, picture.size) == ("JPEG", (256, 256))
    assert infotext(picture) == member.images(upscaled)[0]["infotext"]

    # Too large in any form: the card says so, and its buttons work all the same.
    card_id = await member.begin(prompt="noise", width=640, height=640, steps=2, count=1)
    largest = await member.shown("general", card_id, lambda m: "Too large for this server" in m.text)
    assert not largest.media
    assert largest.labels[0] == "Upscale"


async def test_a_limit_that_nobody_told_is_learnt_from_the_refusal(member):
    """A reaction carries no limit, and the server's own says 10 MiB: Discord answers 413."""
    card = await member.imagine(prompt="a dog", steps=3, count=1)
    await member.react(card, "🔁")

    def is_reply(message):
        return (message.raw.get("message_reference") or {}).get("message_id") == card.id and finished(message)

    reply = await member.wait_for_message("general", is_reply, 60)
    (data,) = [await member.download(url) for url in reply.media]
    assert len(data) <= LIMIT_BYTES
    await member.react(reply, "✉️")
    message = await member.wait_for_message("dm", lambda m: m.attachments, 20)
    assert len(await member.download(message.media[0])) <= LIMIT_BYTES


async def test_after_its_token_a_card_is_edited_by_the_bot_itself(member):
    async with member.busy():
        card_id = await member.begin(prompt="a slow fox", steps=3, count=2)
        token_over(member, card_id)
    card = await member.shown("general", card_id)
    assert len(card.media) == 2


async def test_a_token_that_ends_early_is_no_dead_end(member):
    """The clock said it lives, Discord says 50027."""
    async with member.busy():
        card_id = await member.begin(prompt="a wrong token", steps=3, count=2)
        member.product.execute("UPDATE jobs SET token = 'not-a-token' WHERE id = ?", member.job(card_id)["id"])
    assert len((await member.shown("general", card_id)).media) == 2


async def test_a_card_that_somebody_deleted_comes_as_a_new_message(member, moderator):
    async with member.busy():
        card_id = await member.begin(prompt="a deleted panda", steps=3, count=2)
        await moderator.delete(await member.message("general", card_id))
    new = await member.wait_for_message("general", lambda m: "a deleted panda" in m.text and finished(m), 60)
    assert new.id != card_id
    assert (await member.press(new, "U1")).media
    assert len([m for m in await member.messages("general") if m.text == new.text]) == 1


async def test_where_the_bot_may_not_write_it_comes_by_direct_message(member, moderator):
    """In #announcements the bot may answer a command, but post nothing of its own."""
    async with member.busy():
        card_id = await moderator.begin("announcements", prompt="a lost rocket", steps=3, count=2)
        await moderator.delete(await moderator.message("announcements", card_id))
    direct = await moderator.wait_for_message("dm", lambda m: "a lost rocket" in m.text and finished(m), 60)
    assert "could not post in the channel" in direct.text
    assert len(direct.media) == 2
    # Its buttons work there, too.
    assert (await moderator.press(direct, "Reroll", channel="dm")).media
