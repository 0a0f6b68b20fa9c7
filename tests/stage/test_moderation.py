"""Limits, bans, words, appeals and the audit channel, end to end."""

import re

import pytest

from bot.domain.safety.limits import PLAIN, Limit
from bot.playground.seen import Refused
from tests.stage.visitor import verbs


async def change(stage, guild_id=None, **update):
    place = stage.guild_id if guild_id is None else guild_id
    return await stage.studio.safety.rules.change(place, lambda rules: rules.model_copy(update=update))


async def audited(stage):
    await change(stage, audit_channel=stage.channel_id("studio"))


async def refused(member, prompt="a red apple", channel="general", **options):
    return await member.told(await member.slash(channel, "imagine", {"prompt": prompt, **options}), channel)


async def refusal(member, prompt="a red apple"):
    """The private message itself, with its button."""
    answer = await member.slash("general", "imagine", {"prompt": prompt})
    return await member.shown(answer)


async def record(stage):
    return [row["kind"] for row in stage.rows("SELECT kind FROM safety_events ORDER BY id")]


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_a_days_pictures_run_out_and_what_fails_comes_back(stage):
    member = await stage.visitor()
    await change(stage, limits={PLAIN: {Limit.PICTURES: 3}})
    stage.painter.fail("oom")
    started = await member.begin(count=2)
    await member.shown(started, lambda card: "⚠️" in card.text)
    await member.imagine(count=2)
    text = await refused(member, count=2)
    assert "3 pictures a day" in text
    assert re.search(r"<t:\d+:R>", text)
    await member.imagine(count=1)
    quota = await member.told(await member.slash("general", "quota"))
    assert "0 of 3 pictures" in quota
    assert "comes back <t:" in quota
    await stage.studio.jobs._db.write_one("UPDATE jobs SET created_at = created_at - 90000")
    await member.imagine(count=3)


async def test_limits_of_amount_are_refused_with_the_next_step(stage):
    member = await stage.visitor()
    limits = {Limit.COUNT: 2, Limit.STEPS: 10, Limit.SIDE_PX: 512, Limit.COOLDOWN_S: 600}
    await change(stage, limits={PLAIN: limits})
    assert "smaller count" in await refused(member, count=3, steps=5)
    assert "fewer steps" in await refused(member, count=1, steps=11)
    assert "512 pixels" in await refused(member, count=1, steps=5, width=576, height=512)
    assert "512 pixels" in await refused(member, count=1, steps=5, width=512, height=512, hires=2)
    card = await member.imagine(count=1, steps=5, width=512, height=512)
    assert "You can go on <t:" in await refused(member, count=1, steps=5)
    # The buttons and the reactions come through the same door.
    assert "512 pixels" in await member.told(await member.press(card, "upscale"))
    assert "You can go on" in await member.told(await member.press(card, "reroll"))
    assert "possible <t:" in await member.told(await member.slash("general", "quota"))


async def test_a_job_at_a_time_counts_while_it_is_drawn(stage):
    member = await stage.visitor()
    await change(stage, limits={PLAIN: {Limit.JOBS: 1}})
    stage.painter.hold()
    started = await member.begin(count=1)
    assert "/cancel" in await refused(member, count=1)
    stage.painter.release()
    await member.shown(started, lambda card: card.media)
    await member.imagine(count=1)


async def test_the_operators_limits_hold_beside_a_servers(stage):
    member = await stage.visitor()
    await change(stage, limits={PLAIN: {Limit.PICTURES: 100}})
    await change(stage, 0, limits={PLAIN: {Limit.PICTURES: 1}})
    await member.imagine("dm", count=1)
    assert "One picture a day" in await refused(member, count=1)
    quota = await member.told(await member.slash("general", "quota"))
    assert "Everywhere" in quota
    assert "100 of 100" in quota


async def test_a_role_gives_more(stage):
    member = await stage.visitor("Ann")
    role = stage.discord.create_role(stage.guild_id, "Supporter")
    stage.discord.guilds[stage.guild_id].members[int(member.user_id)].role_ids.append(role.id)
    await change(stage, limits={PLAIN: {Limit.COUNT: 1}, role.id: {Limit.COUNT: 4}})
    await member.imagine(count=4)
    other = await stage.visitor()
    assert "count of 1" in await refused(other, count=2)


async def test_the_panel_sets_limits_places_and_roles(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    panel = await admin.shown(await admin.slash("general", "limits"))
    form = await admin.press(panel, "safetyedit", 0)
    wrong = await admin.told(await admin.fill(form, {"pictures": "many"}))
    assert "many" in wrong
    form = await admin.press(panel, "safetyedit", 0)
    await admin.fill(form, {"pictures": "7", "gpu_s": "2", "jobs": "", "cooldown_s": "0"})
    rules = stage.studio.safety.rules
    assert rules.of(stage.guild_id).limits == {PLAIN: {Limit.PICTURES: 7, Limit.GPU_S: 120, Limit.COOLDOWN_S: 0}}
    moderator = next(role for role in stage.discord.guilds[stage.guild_id].roles.values() if role.name == "Moderator")
    await admin.pick(panel, "safetyset", [str(moderator.id)])
    shown = await admin.shown(panel.id, lambda m: f"<@&{moderator.id}>" in m.text)
    await admin.fill(await admin.press(shown, "safetyedit", 1), {"count": "2"})
    assert rules.of(stage.guild_id).limits[moderator.id] == {Limit.COUNT: 2}
    await admin.press(await admin.shown(panel.id, lambda m: "safetyclear" in verbs(m)), "safetyclear")
    assert moderator.id not in rules.of(stage.guild_id).limits
    await admin.press(panel, "Dónde y quién")
    places = await admin.shown(panel.id, lambda m: "auditoría" in m.text)
    await admin.select(places, "v1:safetyset:channels", [str(stage.channel_id("studio"))])
    await admin.select(places, "v1:safetyset:audit", [str(stage.channel_id("studio"))])
    assert rules.of(stage.guild_id).channels == {stage.channel_id("studio")}
    assert f"<#{stage.channel_id('studio')}>" in await refused(member)
    await member.imagine("studio", count=1)
    await member.imagine("Colour tests", count=1)  # its thread
    await admin.select(places, "v1:safetyset:channels", [])
    await admin.select(places, "v1:safetyset:roles", [str(moderator.id)])
    assert "certain roles" in await refused(member)
    await (await stage.visitor("Moderator")).imagine(count=1)
    await admin.press(panel, "Para adultos")
    adult = await admin.shown(panel.id, lambda m: "ningún clasificador" in m.text)
    await admin.select(adult, "v1:safetyset:adult", [str(stage.channel_id("after-dark"))])
    await admin.select(adult, "v1:safetyset:shown", ["blur"])
    await admin.select(adult, "v1:safetyset:elsewhere", ["blur"])
    found = rules.of(stage.guild_id)
    assert (found.adult_shown, found.elsewhere_shown) == ("blur", "blur")
    assert found.adult_channels == {stage.channel_id("after-dark")}
    await stage.restart()
    assert stage.studio.safety.rules.of(stage.guild_id) == found
    assert (await record(stage)).count("rules_limits") == 3


async def test_an_audit_channel_that_the_bot_may_not_write_in_is_told(stage):
    admin = await stage.visitor("Admin")
    panel = await admin.shown(await admin.slash("general", "limits"))
    await admin.press(panel, "Dónde y quién")
    places = await admin.shown(panel.id, lambda m: "auditoría" in m.text)
    await admin.select(places, "v1:safetyset:audit", [str(stage.channel_id("announcements"))])
    await admin.shown(panel.id, lambda m: "no puedo escribir" in m.text)
    await admin.select(places, "v1:safetyset:audit", [str(stage.channel_id("studio"))])
    await admin.shown(panel.id, lambda m: "no puedo escribir" not in m.text)


async def test_the_operator_sets_limits_for_everybody_in_a_direct_message(make_stage):
    stage = await make_stage()
    member = await stage.visitor()
    operators = frozenset({int(member.user_id)})
    stage.settings = stage.settings.model_copy(update={"operators": operators})
    await stage.restart()
    panel = await member.shown(await member.slash("dm", "limits"), channel="dm")
    assert "everybody, on every server" in panel.text
    await member.fill(await member.press(panel, "safetyedit", 1), {"count": "1"})
    assert "count of 1" in await refused(await stage.visitor("Ann"), count=2)
    stranger = await stage.visitor("Ann")
    assert "operator" in await stranger.told(await stranger.slash("dm", "limits"), "dm")


async def test_the_panel_is_for_admins(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor()
    assert "limits" not in {row["name"] for row in (await member.commands("general"))["slash"]}
    panel = await admin.shown(await admin.slash("general", "limits"))
    assert panel.ephemeral


# --- bans, words, record ---------------------------------------------------------------------------------------------


async def test_a_ban_stops_what_waits(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    stage.painter.hold()
    await member.begin(count=1)
    await member.begin(count=1)
    await member.begin("dm", count=1)
    options = {"user": member.user_id, "reason": "spam"}
    assert "2 jobs" in await moderator.told(await moderator.slash("general", "moderation ban", options))
    stage.painter.release()
    await stage.told()
    rows = stage.rows("SELECT status, guild_id FROM jobs ORDER BY created_at")
    assert [row["status"] for row in rows] == ["cancelled", "cancelled", "delivered"]


async def test_a_ban_and_its_end(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    user = {"user": member.user_id}
    said = await moderator.told(
        await moderator.slash("general", "moderation ban", user | {"reason": "spam @everyone", "duration": "7d"})
    )
    assert "<t:" in said
    text = await refused(member)
    assert "spam" in text
    assert "@everyone" not in text
    assert "spam" in await moderator.told(await moderator.slash("general", "moderation list"))
    await member.imagine("dm", count=1)  # the ban is this server's
    await moderator.told(await moderator.slash("general", "moderation unban", user))
    await member.imagine(count=1)
    assert "no such ban" in await moderator.told(await moderator.slash("general", "moderation unban", user))
    assert await record(stage) == ["ban", "unban"]
    assert "banned" in await moderator.told(await moderator.slash("general", "moderation log"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"user": "Admin", "reason": "x"}, "higher"),
        ({"user": "Moderator", "reason": "x"}, "yourself"),
        ({"user": "Member", "reason": "x", "duration": "soon"}, "duration"),
        ({"user": "Member", "reason": "x", "everywhere": True}, "perator"),
    ],
)
async def test_who_may_not_be_banned_and_how_not(make_stage, options, told):
    stage = await make_stage(operators=frozenset({1}))
    moderator = await stage.visitor("Moderator")
    options = options | {"user": (await stage.visitor(options["user"])).user_id}
    assert told in await moderator.told(await moderator.slash("general", "moderation ban", options))
    assert stage.rows("SELECT * FROM bans") == []


async def test_a_servers_words(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    await moderator.told(await moderator.slash("general", "moderation words add", {"words": "Gun*, red wine"}))
    assert "does not allow a word" in await refused(member, "a gunman in the rain")
    assert "does not allow a word" in await refused(member, "a glass of RED  wine")
    await member.imagine(prompt="burgundy, a begun task", count=1)
    await member.imagine("dm", prompt="a gun", count=1)
    tested = await moderator.told(await moderator.slash("general", "moderation words test", {"text": "a g\u200bun"}))
    assert "gun" in tested
    assert "2 words" in await moderator.told(await moderator.slash("general", "moderation words list"))
    await moderator.told(await moderator.slash("general", "moderation words remove", {"words": "gun*"}))
    await member.imagine(prompt="a gunman in the rain", count=1)
    assert "not in this" in await moderator.told(
        await moderator.slash("general", "moderation words remove", {"words": "gun*"})
    )


# --- appeals and the audit channel -----------------------------------------------------------------------------------


async def test_an_appeal_lets_exactly_that_text_through(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    await audited(stage)
    await change(stage, words=("gun",))
    said = await refusal(member, "a gun in a museum @everyone <@1>")
    assert verbs(said) == ["appeal"]
    await stage.restart()
    assert "moderators have it" in await member.told(await member.press(said, "appeal"))
    card = await moderator.wait_for_message("studio", lambda m: "appealdecide" in verbs(m))
    assert "gun in a museum" in card.text
    assert "@everyone" not in card.text
    assert "appealed this already" in await member.told(await member.press(said, "appeal"))
    assert "moderators" in await member.told(await member.press(card, "appealdecide", 1), "studio")
    await moderator.press(card, "appealdecide", 1)
    await moderator.wait_for_message("studio", lambda m: "Approved by" in m.text)
    await member.wait_for_message("dm", lambda m: "approved" in m.text)
    await member.imagine(prompt="a gun in a museum @everyone <@1>", count=1)
    assert "does not allow" in await refused(member, "two guns, a gun in a museum")
    other = await stage.visitor("Ann")
    assert "does not allow" in await refused(other, "a gun in a museum @everyone <@1>")
    assert "refused_words" in await record(stage)


async def test_a_reaction_that_is_refused_can_be_appealed_too(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    await audited(stage)
    card = await member.imagine(prompt="a gun", count=1)
    await change(stage, words=("gun",))
    await member.react(card, "🔁")
    said = await member.wait_for_message("dm", lambda m: "does not allow" in m.text)
    await member.press(said, "appeal")
    card = await moderator.wait_for_message("studio", lambda m: "appealdecide" in verbs(m))
    assert "a gun" in card.text


async def test_a_ban_can_be_appealed_once(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    await audited(stage)
    options = {"user": member.user_id, "reason": "too many cats"}
    await moderator.told(await moderator.slash("general", "moderation ban", options))
    said = await refusal(member)
    await member.told(await member.press(said, "appeal"))
    assert verbs(await refusal(member)) == []  # asked already
    card = await moderator.wait_for_message("studio", lambda m: "appealdecide" in verbs(m))
    assert "too many cats" in card.text
    await moderator.press(card, "appealdecide", 2)
    await member.wait_for_message("dm", lambda m: "ban stands" in m.text)
    assert "cannot draw" in await refused(member)
    with pytest.raises(Refused, match="no longer there"):  # its buttons are gone
        await moderator.press(card, "appealdecide", 1)


async def test_the_rule_about_minors_has_no_appeal_and_keeps_no_text(stage):
    member = await stage.visitor()
    await audited(stage)
    said = await refusal(member, "a nude child")
    assert verbs(said) == []
    assert stage.rows("SELECT * FROM appeals") == []
    line = await member.wait_for_message("studio", lambda m: "rule about minors" in m.text)
    assert "nude" not in line.text
    assert "nude child" not in str([tuple(row) for row in stage.rows("SELECT * FROM safety_events")])


async def test_without_an_audit_channel_there_is_no_button(stage):
    member = await stage.visitor()
    assert verbs(await refusal(member, "a nude woman")) == []


async def test_a_closed_audit_channel_holds_up_nobody_and_an_open_one_gets_the_rest(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    await change(stage, words=("gun",), audit_channel=stage.channel_id("studio"))
    fault = stage.fault("POST", rf"^/channels/{stage.channel_id('studio')}/messages", 503, times=1)
    said = await refusal(member, "a gun")
    assert "does not allow" in said.text
    while not fault.met:
        await stage.change()
    await stage.restart()
    await moderator.wait_for_message("studio", lambda m: "words" in m.text)
    stage.fault("POST", rf"^/channels/{stage.channel_id('studio')}/messages", 403, code=50013, times=1)
    assert "cannot reach" in await member.told(await member.press(said, "appeal"))
    assert "moderators have it" in await member.told(await member.press(said, "appeal"))


@pytest.mark.parametrize(("status", "lost"), [(503, False), (400, True), (403, True)])
async def test_what_an_audit_channel_missed_comes_with_the_next_line_and_keeps_no_other_back(stage, status, lost):
    moderator, first, second = [await stage.visitor(name) for name in ("Moderator", "First", "Second")]
    await change(stage, words=("gun",), audit_channel=stage.channel_id("studio"))
    fault = stage.fault("POST", rf"^/channels/{stage.channel_id('studio')}/messages", status, times=1)
    await refusal(first, "a gun")
    while not fault.met:
        await stage.change()
    await refusal(second, "a gun")
    seen = await moderator.wait_for_message("studio", lambda m: f"<@{second.user_id}>" in m.text)
    texts = [message.text for message in await moderator.messages("studio") if int(message.id) <= int(seen.id)]
    assert any(f"<@{first.user_id}>" in text for text in texts) is not lost


async def test_two_moderators_press_at_once(stage):
    import asyncio

    moderator, admin, member = [await stage.visitor(name) for name in ("Moderator", "Admin", "Member")]
    await audited(stage)
    await change(stage, words=("gun",))
    await member.told(await member.press(await refusal(member, "a gun"), "appeal"))
    card = await moderator.wait_for_message("studio", lambda m: "appealdecide" in verbs(m))
    await asyncio.gather(moderator.press(card, "appealdecide", 1), admin.press(card, "appealdecide", 2))
    await moderator.wait_for_message("studio", lambda m: "appealdecide" not in verbs(m) and "gun" in m.text)
    (row,) = stage.rows("SELECT approved, decided_by FROM appeals")
    assert row["decided_by"] in (int(moderator.user_id), int(admin.user_id))
    assert len([kind for kind in await record(stage) if kind.startswith("appeal_")]) == 1
