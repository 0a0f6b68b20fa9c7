"""/forget-me, end to end: asked for with a word, done with running jobs, over a restart; others keep theirs."""

from __future__ import annotations

import asyncio

from tests.stage.visitor import verbs


async def asked(person, word="forget me"):
    card = await person.shown(await person.slash("general", "forget-me"))
    assert card.ephemeral
    return card, await person.fill(await person.press(card, "forget"), {"word": word})


async def forgotten(stage):
    async with asyncio.timeout(60):
        while stage.rows("SELECT 1 FROM forgettings"):
            await asyncio.sleep(0.02)


async def test_everything_goes_and_others_keep_theirs(stage):
    member, other = await stage.visitor(), await stage.visitor("Other")
    card = await member.imagine(prompt="a secret fox", count=2)
    theirs = await other.drawn(await other.press(card, "reroll"))
    await other.react(card, "⭐")
    await member.slash("general", "history", {})
    await member.react(card, "✉️")
    await member.wait_for_message("dm", lambda m: m.attachments)
    files = [stage.settings.outputs_dir / row["path"] for row in member.images(card)]
    mine, _ = await asked(member)
    await forgotten(stage)
    told = await member.shown(mine.id, lambda m: "You are forgotten" in m.text)
    assert "2 pictures" in told.text
    await member.gone(card)
    assert not [m for m in await member.messages("dm") if m.attachments]
    assert not any(file.exists() for file in files)
    assert {row["user_id"] for row in stage.rows("SELECT user_id FROM jobs")} == {int(other.user_id)}
    for table in ("favourites", "history_desks", "history_prompts", "library_usage"):
        assert not stage.rows(f"SELECT * FROM {table} WHERE user_id = ?", int(member.user_id)), table
    assert not stage.rows("SELECT * FROM users WHERE id = ?", int(member.user_id))
    assert "secret" not in str(stage.rows("SELECT spec FROM jobs WHERE user_id = ?", int(member.user_id)))
    assert (await other.message("general", theirs.id)) is not None
    # They may come back, as somebody new.
    assert (await member.imagine(count=1)).media


async def test_a_wrong_word_deletes_nothing(stage):
    member = await stage.visitor()
    await member.imagine(count=1)
    _, answer = await asked(member, "no")
    assert "Nothing was deleted" in await member.told(answer)
    assert not stage.rows("SELECT * FROM forgettings")
    assert len(stage.rows("SELECT * FROM images")) == 1


async def test_running_jobs_are_stopped_first(stage):
    member = await stage.visitor()
    stage.painter.hold()
    running = await member.begin(prompt="running")
    await stage.painter.asked(1)
    waiting = await member.begin(prompt="waiting")
    await asked(member)
    await forgotten(stage)
    assert not stage.rows("SELECT * FROM jobs")
    assert stage.painter.cancelled
    for card in (running, waiting):
        await member.gone(card)


async def test_it_goes_on_after_a_restart(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    fault = stage.fault("DELETE", r"/messages/", 503, times=99)
    await asked(member)
    await stage.restart(kill=True)
    fault.times = 0
    await stage.restart(kill=True)
    await forgotten(stage)
    await member.gone(card)
    assert not stage.rows("SELECT * FROM jobs")


async def test_messages_that_cannot_be_deleted_are_told(stage):
    member = await stage.visitor()
    await member.imagine(count=1)
    stage.fault("DELETE", r"/channels/\d+/messages/", 403, code=50001, times=1)
    mine, _ = await asked(member)
    told = await member.shown(mine.id, lambda m: "You are forgotten" in m.text)
    assert "could not be deleted" in told.text
    assert not stage.rows("SELECT * FROM jobs")


async def test_only_for_oneself(stage):
    member = await stage.visitor()
    card = await member.shown(await member.slash("general", "forget-me"))
    assert verbs(card) == ["forget"]
