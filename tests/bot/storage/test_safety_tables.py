"""Rules, bans, appeals and what somebody has spent, on a real database."""

import json
import time
from dataclasses import replace

import pytest

from bot.domain.ids import UserId
from bot.domain.job import JobStatus
from bot.domain.safety.limits import DAY_S, Limit
from bot.domain.safety.rules import Shown
from bot.storage.appeals import Appeals
from bot.storage.bans import Ban, Bans
from bot.storage.forgetting import Forgetting
from bot.storage.jobs import Jobs
from bot.storage.safety_events import SafetyEvent, SafetyEvents
from bot.storage.server_rules import ServerRuleBook
from bot.storage.spending import Spending
from tests.contract.farm import new_job

GUILD, ANA = 10, UserId(1)


async def test_rules_survive_and_unreadable_ones_fall_back_to_the_strictest(database):
    book = ServerRuleBook(database)
    await book.change(GUILD, lambda rules: rules.model_copy(update={"adult_channels": frozenset({7})}))
    await book.change(
        GUILD, lambda rules: rules.model_copy(update={"limits": {0: {Limit.PICTURES: 5}}, "words": ("gun*",)})
    )
    again = ServerRuleBook(database)
    await again.load()
    assert again.of(GUILD).adult_channels == {7}
    assert again.of(GUILD).limits == {0: {Limit.PICTURES: 5}}
    assert again.of(None).adult_channels == frozenset()
    await database.write_one("UPDATE server_rules SET rules = ?", (json.dumps({"adult_shown": "everything"}),))
    broken = ServerRuleBook(database)
    await broken.load()
    assert broken.of(GUILD).elsewhere_shown is Shown.BLOCK
    assert broken.of(GUILD).adult_channels == frozenset()


async def test_a_ban_ends_by_itself_and_the_longer_of_two_is_told(database):
    bans, now = Bans(database), time.time()
    await bans.ban(Ban(GUILD, ANA, "spam", 2, now, now + 60))
    await bans.ban(Ban(0, ANA, "worse", 2, now, None))
    found = await bans.of(ANA, GUILD)
    assert found is not None
    assert found.reason == "worse"
    assert (await bans.of(ANA, None)).reason == "worse"
    assert await bans.unban(0, ANA)
    assert not await bans.unban(0, ANA)
    assert (await bans.of(ANA, GUILD)).reason == "spam"
    assert await bans.of(ANA, 11) is None
    await bans.ban(Ban(GUILD, ANA, "spam", 2, now - 60, now - 1))
    assert await bans.of(ANA, GUILD) is None
    assert await bans.page(GUILD, 0, 10) == ([], 0)


async def test_what_failed_or_was_cancelled_is_given_back(database):
    jobs, spending = Jobs(database), Spending(database, lambda _model, units: units * 2)
    kept, _ = await jobs.add(replace(new_job("a", user=ANA), guild_id=GUILD))
    failed, _ = await jobs.add(replace(new_job("b", user=ANA), guild_id=GUILD))
    gone, _ = await jobs.add(replace(new_job("c", user=ANA), guild_id=GUILD))
    await jobs.add(new_job("elsewhere", user=ANA))
    await jobs.add(new_job("somebody else's", user=2))
    spent = await spending.of(ANA, GUILD)
    assert (spent.pictures, spent.waiting) == (3, 3)
    assert spent.gpu_s > 0
    assert (await spending.of(ANA)).pictures == 4
    await jobs.transition(failed, [JobStatus.QUEUED], JobStatus.FAILED)
    await jobs.ask_cancel(gone, ANA)
    spent = await spending.of(ANA, GUILD)
    assert (spent.pictures, spent.waiting) == (1, 1)
    await jobs.transition(kept, [JobStatus.QUEUED], JobStatus.DONE, run_s=9.5)
    spent = await spending.of(ANA, GUILD)
    assert (spent.pictures, spent.waiting, spent.gpu_s) == (1, 0, 9.5)
    await database.write_one("UPDATE jobs SET created_at = created_at - ?", (DAY_S + 1,))
    assert (await spending.of(ANA, GUILD)).pictures == 0


@pytest.fixture
async def appeal(database):
    return await Appeals(database).refused(
        guild_id=GUILD, channel_id=7, user_id=ANA, locale="es-ES", about="words", text="a Gun  show"
    )


async def test_an_appeal_is_asked_once_and_decided_once(database, appeal):
    appeals = Appeals(database)
    assert not await appeals.decide(appeal.id, 5, approved=True)  # nobody has asked
    assert not await appeals.ask(appeal.id, 2)
    assert await appeals.ask(appeal.id, ANA)
    assert not await appeals.ask(appeal.id, ANA)
    assert await appeals.decide(appeal.id, 5, approved=True)
    assert not await appeals.decide(appeal.id, 6, approved=False)
    assert await appeals.passed(ANA, GUILD, "words", "a gun show")
    assert not await appeals.passed(ANA, GUILD, "adult", "a gun show")
    assert not await appeals.passed(ANA, 11, "words", "a gun show")
    assert not await appeals.passed(2, GUILD, "words", "a gun show")
    assert not await appeals.passed(ANA, GUILD, "words", "a gun show, blood")
    await database.write_one("UPDATE appeals SET decided_at = decided_at - 700000")
    assert not await appeals.passed(ANA, GUILD, "words", "a gun show")


async def test_a_refused_text_is_not_kept_for_long(database, appeal):
    appeals = Appeals(database)
    asked = await appeals.refused(guild_id=GUILD, channel_id=7, user_id=2, locale="en", about="adult", text="x")
    await appeals.ask(asked.id, 2)
    await appeals.sweep()
    assert await appeals.get(appeal.id) is not None
    await database.write_one("UPDATE appeals SET at = at - 90000")
    await appeals.sweep()
    assert await appeals.get(appeal.id) is None
    assert await appeals.get(asked.id) is not None
    await database.write_one("UPDATE appeals SET at = at - 2600000")
    await appeals.sweep()
    assert await appeals.get(asked.id) is None


async def test_forget_me_ends_no_ban_and_leaves_no_name(database, appeal):
    bans, events = Bans(database), SafetyEvents(database)
    await bans.ban(Ban(GUILD, ANA, "spam", 2, time.time(), None))
    await events.add(SafetyEvent("ban", GUILD, ANA, 2, {"reason": "spam"}))
    await Forgetting(database).finish(ANA)
    await Forgetting(database).finish(UserId(2))
    found = await bans.of(ANA, GUILD)
    assert found is not None
    assert found.banned_by == 0
    (event,), total = await events.page(GUILD, 0, 10)
    assert (event.user_id, event.done_by, event.detail, total) == (0, 0, {}, 1)
    assert await Appeals(database).get(appeal.id) is None


async def test_forget_me_fills_no_quota_up_again(database):
    jobs, spending, forgetting = Jobs(database), Spending(database, lambda *_: None), Forgetting(database)
    done, _ = await jobs.add(replace(new_job("a", user=ANA), guild_id=GUILD))
    failed, _ = await jobs.add(replace(new_job("b", user=ANA), guild_id=GUILD))
    await jobs.transition(done, [JobStatus.QUEUED], JobStatus.DELIVERED, run_s=4.0)
    await jobs.transition(failed, [JobStatus.QUEUED], JobStatus.FAILED)
    before = await spending.of(ANA, GUILD)
    await forgetting.forget_jobs(await forgetting.jobs_of(ANA))
    await forgetting.finish(ANA)
    assert await jobs.get(done) is None
    assert await spending.of(ANA, GUILD) == before
    assert before.pictures == 1
    await spending.sweep()
    assert await spending.of(ANA, GUILD) == before
    await database.write_one("UPDATE spending_kept SET at = at - ?", (DAY_S,))
    assert (await spending.of(ANA)).uses == ()
    await spending.sweep()
    assert await database.all("SELECT * FROM spending_kept") == []
