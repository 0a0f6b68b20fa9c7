"""Waiting: position, /queue, and stopping what waits or runs."""

import asyncio

from tests.e2e.visitor import ENDLESS, finished


async def cancelled(visitor, card_id):
    return await visitor.shown("general", card_id, lambda m: "Cancelled" in m.text, 30)


async def running(visitor, card_id):
    return await visitor.shown("general", card_id, lambda m: "Drawing" in m.text)


async def test_cancel_of_running_and_waiting_jobs_by_their_owner(member):
    first = await member.begin(prompt="a running cat", **ENDLESS)
    second = await member.begin(prompt="a waiting cat", **ENDLESS)
    third = await member.begin(prompt="a cat in line", **ENDLESS)
    await running(member, first)
    card = await member.shown("general", third, lambda m: "position 2 of 2" in m.text, 30)
    assert "Queued" in card.text
    listed = await member.shown("general", (await member.slash("general", "queue")).message_id, lambda m: True, 5)
    assert "a running cat" in listed.text
    assert "a cat in line" in listed.text
    assert "2 jobs are waiting, 1 running" in listed.text

    # By the button on its card, and by the one in the list.
    assert "Cancelled." in await member.told(await member.click(card, "Cancel"))
    after = await cancelled(member, third)
    assert after.labels == ("Try again", "Edit", "Delete")
    job = member.job(second)["id"]
    await member.click(listed, f"v1:cancel:{job}")
    await cancelled(member, second)
    # Running: it stops within a step, and /cancel without a choice takes the newest.
    assert "a running cat" in await member.told(await member.slash("general", "cancel"))
    await cancelled(member, first)
    assert member.images(first) == []
    assert "None of your jobs" in await member.told(await member.slash("general", "cancel"))


async def test_cancel_of_others_jobs_is_for_moderators(member, moderator):
    theirs = await moderator.begin(prompt="a moderated dog", **ENDLESS)
    mine = await member.begin(prompt="a dog of mine", **ENDLESS)
    card = await member.shown("general", theirs, lambda m: m.labels == ("Cancel",), 10)
    assert "somebody else's job" in await member.told(await member.click(card, "Cancel"))
    refused = await member.slash("general", "cancel", {"job": moderator.job(theirs)["id"]})
    assert "somebody else's job" in await member.told(refused)

    choices = await moderator.autocomplete("general", "cancel", "job", {"job": "of mine"})
    assert [choice["value"] for choice in choices] == [member.job(mine)["id"]]
    assert await member.autocomplete("general", "cancel", "job", {"job": "moderated"}) == []
    answer = await moderator.slash("general", "cancel", {"job": choices[0]["value"]})
    assert "a dog of mine" in await moderator.told(answer)
    await cancelled(member, mine)
    await moderator.click(card, "Cancel")
    await cancelled(moderator, theirs)


async def test_a_cancelled_job_can_be_taken_up_again(member):
    card_id = await member.begin(prompt="a second chance", seed=7, steps=60, count=2)
    card = await member.shown("general", card_id, lambda m: m.labels == ("Cancel",), 10)
    await member.click(card, "Cancel")
    card = await cancelled(member, card_id)
    form = await member.click(card, "Edit")
    answer = await member.submit_modal(form, {"parameters": "Steps: 2\nSeed: 7\nCount: 1"})
    assert finished(await member.shown("general", member.started(answer)))
    again = member.started(await member.click(card, "Try again"))
    retried = member.spec(again)
    assert {**retried} == {**member.spec(card)}
    await member.click(await member.message("general", again), "Cancel")
    await cancelled(member, again)


async def test_too_late_to_cancel(member):
    card = await member.imagine(prompt="a quick star", steps=2, count=1)
    answer = await member.slash("general", "cancel", {"job": member.job(card)["id"]})
    assert "finished already" in await member.told(answer)
    assert "no record" in await member.told(await member.slash("general", "cancel", {"job": "nosuchjob"}))


async def test_one_person_may_queue_only_so_much(member, moderator):
    begun = [await member.begin(prompt="one of many", **ENDLESS) for _ in range(10)]
    try:
        refused = await member.slash("general", "imagine", {"prompt": "one too many"})
        assert "already have 10 jobs waiting" in await member.told(refused)
        # Somebody else is not kept out by it, and comes before most of them.
        theirs = await moderator.begin(prompt="my turn", steps=2, count=1)
        await moderator.shown("general", theirs, lambda m: True, 5)
        standing = await moderator.told(await moderator.slash("general", "queue"))
        assert "my turn" in standing
    finally:
        for card_id in begun:
            await member.slash("general", "cancel", {"job": member.job(card_id)["id"]})
    await moderator.shown("general", theirs)
    await asyncio.gather(*(cancelled(member, each) for each in begun))
