"""Old pictures, end to end: their files go, they stay in the history and are drawn again."""

from __future__ import annotations

import asyncio

from bot.doctor.report import State
from bot.doctor.retention import check_retention
from bot.i18n import texts_for
from tests.stage.visitor import verbs


def aged(stage, days=40):
    stage.execute("UPDATE images SET created_at = created_at - ?", days * 86400)
    stage.execute("UPDATE jobs SET created_at = created_at - ?", days * 86400)


async def test_files_go_and_are_drawn_again(make_stage):
    stage = await make_stage(keep_days=30)
    member = await stage.visitor()
    card = await member.imagine(prompt="a red fox", count=2, seed=5)
    images = member.images(card)
    await stage.studio.favourites.add(int(member.user_id), [images[0]["id"]])
    gallery = await member.shown(await member.slash("general", "history"))
    await stage.told()
    aged(stage)
    (finding,) = check_retention(texts_for("en"), stage.settings)
    assert finding.state is State.OK
    assert "1 of them" in finding.details
    assert await stage.studio.history.pruner.run() == 1
    assert await stage.studio.history.pruner.run() == 0
    kept, gone = [(stage.settings.outputs_dir / image["path"]).exists() for image in images]
    assert (kept, gone) == (True, False)

    await member.pick(gallery, "historyopen", [images[1]["id"]])
    page = await member.shown(gallery.id, lambda m: "Draw again" in str(m.raw))
    assert page.media, "its thumbnail is still there"
    again = await member.drawn(await member.press(page, "historypicture", 5))
    spec = stage.painter.specs[-1]
    assert (spec.seed, spec.count, spec.prompt) == (6, 1, "a red fox")
    assert len(again.media) == 1
    # The U button of its card draws it again on the way, too.
    await member.drawn(await member.press(card, "upscale"))


async def test_room(make_stage):
    stage = await make_stage(keep_gb=0.000001)
    member = await stage.visitor()
    await member.imagine(count=3)
    await stage.told()
    assert await stage.studio.history.pruner.run() == 3
    (finding,) = check_retention(texts_for("en"), stage.settings)
    assert "none has to go" in finding.details
    card = await member.imagine(count=1)
    await stage.told()
    await stage.studio.favourites.add(int(member.user_id), [member.images(card)[0]["id"]])
    assert await stage.studio.history.pruner.run() == 0
    (finding,) = check_retention(texts_for("en"), stage.settings)
    assert finding.state is State.WARN


async def test_a_servers_own_word(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    await member.imagine(count=1)
    await stage.told()
    aged(stage, 10)
    assert "siempre" in await admin.told(await admin.slash("general", "retention"))
    assert await stage.studio.history.pruner.run() == 0
    assert "7 días" in await admin.told(await admin.slash("general", "retention", {"days": 7}))
    assert await stage.studio.history.pruner.run() == 1
    assert "siempre" in await admin.told(await admin.slash("general", "retention", {"days": 0}))


async def test_what_could_not_be_delivered_waits(stage):
    member = await stage.visitor()
    stage.painter.hold()
    await member.begin(count=1)
    await stage.painter.asked(1)
    stage.fault("PATCH", r"/webhooks/|/messages/", 404, code=10008, times=99)
    stage.fault("POST", r"/channels/\d+/messages", 403, code=50001, times=99)
    stage.painter.release()
    async with asyncio.timeout(60):
        while not stage.rows("SELECT 1 FROM jobs WHERE stranded_at IS NOT NULL"):
            await asyncio.sleep(0.02)
    stage.faults.clear()
    card = await member.shown(await member.slash("general", "history"))
    assert "could not be brought" in card.text
    await member.press(card, "historyfilter", 2)
    card = await member.shown(card.id, lambda m: "📬 not delivered" in m.text)
    await member.pick(card, "historyopen", [stage.rows("SELECT id FROM images")[0]["id"]])
    await member.shown(card.id, lambda m: "historysend" in verbs(m))
    async with asyncio.timeout(60):
        while stage.rows("SELECT status FROM jobs")[0]["status"] != "delivered":
            await asyncio.sleep(0.02)
