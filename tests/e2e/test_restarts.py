"""Kill -9, Ctrl-C and a playground that dies: nothing is lost, nothing is posted twice, old cards stay alive."""

import asyncio
import time

from bot import exit_codes
from tests.e2e.visitor import finished

LONG = {"steps": 60, "count": 2}


def posted(messages, prompt):
    return [m for m in messages if f"**{prompt}**" in m.text]


async def drawing(visitor, card_id):
    """Until it is seen to be drawn; on a fast card it may be done before that."""
    return await visitor.shown("general", card_id, lambda m: "Drawing" in m.text or finished(m))


async def test_everything_killed_then_interrupted_then_finished(own_product):
    product = own_product().start()
    async with product.person() as member:
        old = await member.imagine(prompt="an old card", seed=5, steps=3, count=1)
        begun = {name: await member.begin(prompt=name, **LONG) for name in ("running cat", "waiting dog", "last fox")}
        await drawing(member, begun["running cat"])
        product.kill()

    product.start()
    async with product.person() as member:
        # Old buttons and new commands work while the worker still loads; a waiting card says so.
        upscale = member.started(await member.click(old, "Creative"))
        first = await member.shown("general", upscale, lambda m: True, 5)
        assert "Queued" in first.text
        assert "not running" not in first.text
        await drawing(member, begun["running cat"])
        before = time.monotonic()
        assert product.interrupt() in (exit_codes.OK, exit_codes.INTERRUPTED)
        assert time.monotonic() - before < 10
        assert "Traceback" not in product.output

    product.start()
    async with product.person() as member:
        for name, card_id in begun.items():
            card = await member.shown("general", card_id)
            assert len(card.media) == 2
            assert name in card.text
        assert finished(await member.shown("general", upscale))
        messages = await member.messages("general")
        for name in (*begun, "an old card"):
            assert len(posted(messages, name)) == (2 if name == "an old card" else 1)
        for _ in range(100):  # the card is seen a moment before the table says so
            rows = product.rows("SELECT status, crashes FROM jobs")
            if {row["status"] for row in rows} == {"delivered"}:
                break
            await asyncio.sleep(0.1)
        assert {row["status"] for row in rows} == {"delivered"}
        # A job is not blamed for a power cut so often that it fails.
        assert max(row["crashes"] for row in rows) < 3
        assert len(product.rows("SELECT 1 FROM images")) == 2 + 2 * len(begun)


async def test_only_the_bot_dies(own_product, local_discord):
    """Discord and its people stay; the worker finishes what it draws and hands it over."""
    product = own_product(local_discord.start()).start()
    async with product.person() as member:
        card = await member.imagine(prompt="a card from before", seed=9, steps=3, count=1)
        form = await member.click(card, "Edit")
        assert form.kind == "modal"
        running = await member.begin(prompt="half drawn", steps=30, count=2)
        waiting = await member.begin(prompt="not begun", steps=3, count=1)
        await drawing(member, running)
        product.process.kill()
        product.ended()
        unanswered = await member.click(card, "Reroll")
        assert unanswered.kind is None  # "This interaction failed", as on Discord while a bot is away

        product.start()
        await member.wait_for_bot(60)
        answer = await member.submit_modal(form, {"prompt": "a form from before"})
        edited = await member.shown("general", member.started(answer))
        assert member.spec(edited)["seed"] == 9
        for card_id in (running, waiting):
            assert finished(await member.shown("general", card_id))
        messages = await member.messages("general")
        assert [len(posted(messages, name)) for name in ("half drawn", "not begun", "a form from before")] == [1, 1, 1]
        # It was drawn once: its worker outlived the bot and kept the result.
        assert member.job(running)["attempt"] == 1

        # Now Discord goes away and comes back.
        during = await member.begin(prompt="drawn while away", steps=30, count=2)
        await drawing(member, during)
        local_discord.kill()
        await asyncio.sleep(1)
        product.page = local_discord.start().page
    async with product.person() as member:
        assert finished(await member.shown("general", during))
        again = await member.press(await member.message("general", during), "Reroll")
        assert len(again.media) == 2
        messages = await member.messages("general")
        assert len(posted(messages, "drawn while away")) == 2


async def test_a_playground_that_dies_is_started_again(own_product):
    product = own_product(PINCEL_WORKERS="0").start()
    async with product.person() as member:
        card_id = await member.begin(prompt="kept")
        # A page shows a message some moments before its sender hears that it is kept.
        while not product.rows("SELECT id FROM jobs WHERE message_id IS NOT NULL"):
            await asyncio.sleep(0.02)
    playground = product.child("bot.playground")
    playground.kill()
    product.wait_for_another_page()
    async with product.person() as member:
        assert await member.message("general", card_id) is not None
        assert await member.begin(prompt="after it")
