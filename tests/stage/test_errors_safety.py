"""Limits, bans, words, places and appeals: refused with their own sentence, and nothing has changed."""

import asyncio

import pytest

from bot.domain.safety.limits import PLAIN, Limit
from bot.domain.safety.rules import Shown
from bot.domain.safety.words import MAX_ENTRIES
from bot.studio.safety import panel
from gpu_worker.protocol.safety import Looked
from tests.stage.pictures_given import picture
from tests.stage.refusing import press, refused, unchanged

GONE = "zzzzzzzzzzzzzzzz"


async def change(stage, **update):
    await stage.studio.safety.rules.change(stage.guild_id, lambda rules: rules.model_copy(update=update))


async def draw(person, prompt="a red apple", **options):
    return await person.slash("general", "imagine", {"prompt": prompt, "count": 1} | options)


LIMITS = (
    ({Limit.PICTURES: 1}, {}, "limit_pictures"),
    ({Limit.PICTURES: 1}, {"count": 2}, "limit_pictures_never"),
    ({Limit.GPU_S: 0}, {}, "limit_gpu_s_never"),
    ({Limit.COUNT: 1}, {"count": 2}, "limit_count"),
    ({Limit.STEPS: 5}, {"steps": 6}, "limit_steps"),
    ({Limit.SIDE_PX: 256}, {"width": 512, "height": 512}, "limit_side_px"),
    ({Limit.COOLDOWN_S: 600}, {}, "limit_cooldown_s"),
)


@pytest.mark.parametrize(("limits", "options", "key"), LIMITS)
async def test_limits_of_a_server(stage, limits, options, key):
    member = await stage.visitor()
    await member.imagine(count=1)
    await change(stage, limits={PLAIN: limits})
    async with unchanged(stage):
        await refused(member, await draw(member, **options), key)


async def test_seconds_of_drawing_run_out(stage):
    member = await stage.visitor()
    await member.imagine(count=1)
    await asyncio.to_thread(stage.execute, "UPDATE jobs SET run_s = 90")
    await change(stage, limits={PLAIN: {Limit.GPU_S: 60}})
    async with unchanged(stage):
        await refused(member, await draw(member), "limit_gpu_s")


async def test_a_job_at_a_time(stage):
    member = await stage.visitor()
    await change(stage, limits={PLAIN: {Limit.JOBS: 1}})
    stage.painter.hold()
    await draw(member)
    await stage.painter.asked(1)
    await refused(member, await draw(member), "limit_jobs")
    assert len(stage.rows("SELECT id FROM jobs")) == 1
    stage.painter.release()


async def test_places_and_words_of_a_server(stage):
    member = await stage.visitor()
    role = stage.discord.create_role(stage.guild_id, "Painters")
    for update, key in (
        ({"words": ("zebra",)}, "content_words"),
        ({"words": (), "channels": frozenset({stage.channel_id("studio")})}, "place_channel"),
        ({"channels": frozenset(), "roles": frozenset({role.id})}, "place_role"),
    ):
        await change(stage, **update)
        async with unchanged(stage, "safety_events", "appeals", "refusals"):
            await refused(member, await draw(member, "a zebra"), key)


async def test_an_upload_is_not_undressed(stage):
    member = await stage.visitor()
    async with unchanged(stage, "safety_events", "refusals"):
        options = {"prompt": "nude", "count": 1}
        answer = await member.slash("general", "imagine", options, {"image": ("a.png", picture())})
        await refused(member, answer, "content_upload")


MODERATION = (
    ("ban", {"reason": "x", "duration": "soon"}, "duration_unreadable"),
    ("unban", {}, "ban_none"),
    ("ban", {"reason": "x", "everywhere": True}, "operator_alone"),
    ("words add", {"words": " , ,"}, "word_empty"),
    ("words remove", {"words": "zebra"}, "word_unknown"),
    ("words add", {"words": "one"}, "words_full"),
)


async def test_commands_of_moderators(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    admin = stage.playground.world.people["Admin"]
    await change(stage, words=tuple(f"word{number}" for number in range(MAX_ENTRIES)))
    async with unchanged(stage):
        for command, options, key in MODERATION:
            given = options if "words" in command else options | {"user": member.user_id}
            await refused(moderator, await moderator.slash("general", f"moderation {command}", given), key)
        for user, key in ((moderator.user_id, "ban_self"), (str(admin), "ban_higher")):
            answer = await moderator.slash("general", "moderation ban", {"user": user, "reason": "x"})
            await refused(moderator, answer, key)
        await refused(member, await press(stage, member, "banlist", "b", 0), "moderators_only")


async def test_a_ban_for_a_while(stage):
    moderator, member = await stage.visitor("Moderator"), await stage.visitor()
    options = {"user": member.user_id, "reason": "x", "duration": "2d"}
    await moderator.told(await moderator.slash("general", "moderation ban", options))
    async with unchanged(stage, "appeals", "safety_events"):
        await refused(member, await draw(member), "banned_until")


async def test_appeals(stage):
    moderator, member, other = await stage.visitor("Moderator"), await stage.visitor(), await stage.visitor("Visitor")
    await change(stage, audit_channel=stage.channel_id("studio"), words=("zebra",))
    card = await member.shown(await draw(member, "a zebra"))
    fault = stage.fault("POST", rf"^/channels/{stage.channel_id('studio')}/messages", 403, code=50013, times=99)
    await refused(member, await member.press(card, "appeal"), "appeal_unreachable")
    fault.times = 0
    await member.told(await member.press(card, "appeal"))
    await refused(member, await member.press(card, "appeal"), "appeal_asked")
    asked = await moderator.wait_for_message("studio", lambda m: m.text and "zebra" in str(m.raw))
    async with unchanged(stage, "safety_events"):
        await refused(other, await other.press(asked, "appealdecide"), "moderators_only", "studio")
    await moderator.press(asked, "appealdecide", 2)
    (appeal,) = stage.rows("SELECT id FROM appeals")
    async with unchanged(stage, "safety_events"):
        await refused(moderator, await press(stage, moderator, "appealdecide", appeal["id"], 1), "appeal_decided")


async def test_limits_form_and_their_number(stage, monkeypatch):
    admin = await stage.visitor("Admin")
    await admin.set_locale("en-US")
    card = await press(stage, admin, "safetyedit", "0", 0)
    field = next(iter(panel.FORMS[0]))
    async with unchanged(stage):
        await refused(admin, await admin.fill(card, {field: "many"}), "limit_value")
        monkeypatch.setattr(panel, "ROLES_WITH_LIMITS", 0)
        form = await press(stage, admin, "safetyedit", "0", 0)
        await refused(admin, await admin.fill(form, {field: "9"}), "limit_roles")


async def test_pictures_that_may_not_be_shown(stage):
    member = await stage.visitor()
    await change(stage, adult_channels=frozenset({stage.channel_id("after-dark")}), adult_shown=Shown.PLAIN)
    stage.painter.safety, stage.painter.look = "eyes", lambda spec, index: Looked(by="eyes", nude=0.9, failed=False)
    await stage.painter.announce()
    card = await member.imagine("after-dark", prompt="a nude woman --private", count=1)
    (image,) = stage.rows("SELECT id, job_id FROM images")
    async with unchanged(stage, "safety_events"):
        await refused(member, await press(stage, member, "region", image["id"]), "picture_veiled")
        await refused(member, await press(stage, member, "original", image["job_id"]), "content_adult")
    assert card.media


async def test_what_waited_in_everybodys_sight_is_refused_to_one_alone(stage, monkeypatch):
    """A dynamic prompt took long, so the command was acknowledged before the server's rules were asked."""
    monkeypatch.setattr("bot.studio.dynamic.SOON_S", 0)
    member, other = await stage.visitor(), await stage.visitor("Visitor")
    await change(stage, limits={PLAIN: {Limit.COUNT: 1}})
    async with unchanged(stage):
        answer = await draw(member, "a {cat|dog}", count=2)
        assert answer.kind == "deferred"
        await refused(member, answer, "limit_count")
    assert await other.messages("general") == []
