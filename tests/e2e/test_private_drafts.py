"""Pictures for one pair of eyes: drawn, published, late, and never in the channel by mistake."""

import io

import pytest
from PIL import Image as Pillow

from bot.domain.preferences import PING_WHEN_DONE, PREVIEWS, PRIVATE
from bot.domain.safety.rules import Shown
from tests.stage.refusing import press, refused
from tests.stage.visitor import finished, verbs


@pytest.fixture
async def member(stage):
    return await stage.visitor()


async def prefers(stage, member, key, value=True):
    await stage.studio.preferences.put("user", int(member.user_id), key, value)


async def private_card(stage, member, **options):
    await prefers(stage, member, PRIVATE)
    card = await member.imagine(prompt="my secret", count=1, **options)
    await stage.told()
    return card


async def test_a_private_picture_is_seen_by_its_user_alone_until_it_is_published(stage, member):
    card = await private_card(stage, member)
    assert card.ephemeral
    assert "publish" in verbs(card)
    other = await stage.visitor("Moderator")
    assert await other.messages("general") == []
    await member.press(card, "publish")
    shown = await other.wait_for_message("general", finished)
    assert "my secret" in shown.text
    assert "publish" not in verbs(shown)
    told = await member.shown(card.id, lambda found: "Published" in found.text)
    assert verbs(told) == []
    assert shown.id in told.text
    assert member.job(shown)["private"] == 0
    # What comes of it now is for everybody, where its user does not prefer otherwise.
    await prefers(stage, member, PRIVATE, value=False)
    assert not (await member.drawn(await member.press(shown, "reroll"))).ephemeral


async def test_what_comes_of_a_private_picture_is_private(stage, member):
    card = await private_card(stage, member)
    await prefers(stage, member, PRIVATE, value=False)
    again = await member.drawn(await member.press(card, "reroll"))
    assert again.ephemeral
    assert "publish" in verbs(again)


async def test_the_panel_draws_for_one_or_for_all(stage, member):
    card = await member.imagine(prompt="a cat", count=1)
    shown = await member.shown(await member.fill(await member.press(card, "edit"), {"advanced": True}))
    assert (await member.drawn(await member.press(shown, "draw", 1))).ephemeral
    assert not (await member.drawn(await member.press(shown, "Draw"))).ephemeral
    await prefers(stage, member, PRIVATE)
    shown = await member.shown(await member.fill(await member.press(card, "edit"), {"advanced": True}))
    assert not (await member.drawn(await member.press(shown, "draw", 2))).ephemeral
    assert (await member.drawn(await member.press(shown, "draw", 1))).ephemeral


async def test_two_presses_publish_once(stage, member):
    card = await private_card(stage, member)
    await member.press(card, "publish")
    await member.shown(card.id, lambda found: "Published" in found.text)
    with pytest.raises(AssertionError):
        member.address(await member.shown(card.id), "publish", 1)
    assert len([found for found in await member.messages("general") if finished(found)]) == 1


async def test_the_content_rules_are_asked_again_before_it_is_shown(stage, member):
    card = await private_card(stage, member)
    job = member.job(card)["id"]
    stage.execute("UPDATE jobs SET spec = replace(spec, 'my secret', 'a naked 9 year old girl') WHERE id = ?", job)
    before = len(await member.messages("general"))
    await member.press(card, "publish")
    await member.wait_for_message("general", lambda found: found.ephemeral and found.id != card.id)
    assert len(await member.messages("general")) == before + 1
    assert member.job(card)["private"] == 1
    assert [found for found in await member.messages("general") if not found.ephemeral] == []


async def test_a_refused_post_stays_private_and_can_be_tried_again(stage, member):
    card = await private_card(stage, member)
    stage.fault("POST", r"^/channels/\d+/messages", 403, times=1)
    fault = stage.fault("POST", r"^/webhooks/", 403, times=1)
    await refused(member, await member.press(card, "publish"), "publish_forbidden")
    assert fault.met == 1
    assert member.job(card)["private"] == 1
    await member.press(card, "publish")
    await member.wait_for_message("general", lambda found: finished(found) and not found.ephemeral)


async def test_where_the_bot_may_not_write_its_answer_still_can(stage, member):
    card = await private_card(stage, member)
    stage.fault("POST", r"^/channels/\d+/messages", 403, times=1)
    await member.press(card, "publish")
    await member.wait_for_message("general", lambda found: finished(found) and not found.ephemeral)


async def test_an_answer_that_is_lost_publishes_nothing_twice(stage, member):
    card = await private_card(stage, member)
    stage.fault("POST", r"^/channels/\d+/messages", 503, times=1, carried_out=True)
    await member.press(card, "publish")
    await member.wait_for_message("general", lambda found: found.ephemeral and found.id != card.id)
    assert member.job(card)["private"] == 1
    await member.press(card, "publish")
    await member.shown(card.id, lambda found: "Published" in found.text)
    assert len([found for found in await member.messages("general") if finished(found)]) == 1


async def test_a_private_picture_outlives_a_restart_and_can_be_deleted(stage, member):
    await prefers(stage, member, PRIVATE)
    stage.painter.hold()
    started = await member.begin(prompt="my secret", count=1)
    await stage.painter.asked(1)
    await stage.restart(kill=True)
    stage.painter.release()
    member = await stage.visitor()
    card = await member.shown(started, finished)
    assert card.ephemeral
    await stage.told()
    await member.press(card, "delete")
    await member.gone(card)


async def test_after_the_tokens_end_it_comes_by_direct_message_and_is_published_from_there(stage, member):
    await prefers(stage, member, PRIVATE)
    stage.painter.hold()
    started = await member.begin(prompt="my secret", count=1)
    await stage.painter.asked(1)
    stage.execute("UPDATE jobs SET token_expires_at = 1")
    stage.painter.release()
    card = await member.wait_for_message("dm", finished)
    assert "longer than Discord" in card.text
    assert [found for found in await member.messages("general") if finished(found)] == []
    await member.press(card, "publish")
    shown = await member.wait_for_message("general", lambda found: finished(found) and not found.ephemeral)
    assert "my secret" in shown.text
    assert started != shown.id


async def test_without_any_way_to_its_user_it_waits_and_never_leaks(stage, member):
    await prefers(stage, member, PRIVATE)
    stage.painter.hold()
    await member.begin(prompt="my secret", count=1)
    await stage.painter.asked(1)
    stage.execute("UPDATE jobs SET token_expires_at = 1")
    stage.fault("POST", r"^/users/@me/channels", 403, times=99)
    stage.painter.release()
    await stage.told()
    (job,) = stage.rows("SELECT * FROM jobs")
    assert (job["status"], job["private"]) == ("delivered", 1)
    assert [found for found in await member.messages("general") if finished(found)] == []


async def test_a_picture_that_was_uploaded_does_not_show_before_its_private_card(stage, member):
    await prefers(stage, member, PRIVATE)
    out = io.BytesIO()
    Pillow.new("RGB", (64, 64), "red").save(out, "PNG")
    answer = await member.slash(
        "general", "imagine", {"prompt": "my secret", "count": 1}, {"image": ("a.png", out.getvalue())}
    )
    card = await member.wait_for_message("general", finished)
    assert card.ephemeral
    assert answer.message_id == card.id


async def test_who_wants_no_previews_has_none_made(stage, member):
    await member.imagine(prompt="a cat", count=1)
    await prefers(stage, member, PREVIEWS, value=False)
    await member.imagine(prompt="a dog", count=1)
    wished = [assign.preview.hz for assign in stage.painter.assigned]
    assert wished[0] > 0
    assert wished[1] == 0


async def test_a_ping_reaches_its_user_alone_and_once(stage, member):
    card = await member.imagine(prompt="@everyone and a cat", count=1)
    await stage.told()
    assert len(await member.messages("general")) == 1
    await prefers(stage, member, PING_WHEN_DONE)
    card = await member.imagine(prompt="@everyone and a dog", count=1)
    ping = await member.wait_for_message("general", lambda found: "is ready" in found.text)
    assert ping.raw["message_reference"]["message_id"] == card.id
    assert [user["id"] for user in ping.raw["mentions"]] == [member.user_id]
    stage.studio.deliverer.ended(member.job(card)["id"])
    await stage.restart()
    member = await stage.visitor()
    assert len([found for found in await member.messages("general") if "is ready" in found.text]) == 1


async def test_a_failure_pings_as_well(stage, member):
    await prefers(stage, member, PING_WHEN_DONE)
    stage.painter.fail("oom", times=9)
    await member.begin(prompt="a cat", count=1)
    ping = await member.wait_for_message("general", lambda found: "could not be drawn" in found.text)
    assert [user["id"] for user in ping.raw["mentions"]] == [member.user_id]


async def test_a_private_ping_is_private(stage, member):
    await prefers(stage, member, PING_WHEN_DONE)
    await private_card(stage, member)
    ping = await member.wait_for_message("general", lambda found: "is ready" in found.text)
    assert ping.ephemeral


async def test_the_original_is_handed_out_where_the_card_shows_less(stage, member):
    stage.fault("PATCH", r"^/webhooks/", 413, times=1)
    card = await member.imagine(prompt="a cat", count=1)
    assert "original" in verbs(card)
    assert card.media[0].endswith(".webp") or "webp" in str(card.media[0])
    await member.press(card, "original")
    got = await member.wait_for_message("general", lambda found: found.ephemeral and found.raw["attachments"])
    (image,) = member.images(card)
    data = await member.download(got.raw["attachments"][0]["url"])
    assert data == (stage.studio.images._root / image["path"]).read_bytes()


async def test_what_is_made_from_a_private_picture_elsewhere_is_private_too(stage, member):
    card = await private_card(stage, member)
    await prefers(stage, member, PRIVATE, value=False)
    more = await member.press(card, "more")
    shown = await member.shown(more, lambda found: "tweak" in verbs(found))
    again = await member.drawn(await member.press(shown, "vary", 2))
    assert again.ephemeral
    assert "publish" in verbs(again)


async def test_a_flag_in_the_prompt_says_who_sees_it(stage, member):
    card = await member.imagine(prompt="my secret --private", count=1)
    assert card.ephemeral
    assert member.spec(card)["prompt"] == "my secret"
    edited = await member.fill(await member.press(card, "edit"), {"prompt": "for all --public"})
    assert not (await member.drawn(edited)).ephemeral
    shown = await member.shown(await member.fill(await member.press(card, "edit"), {"advanced": True}))
    shown = await member.shown(await member.fill(await member.press(shown, "advanced", 5), {"prompt": "mine —private"}))
    mine = await member.drawn(await member.press(shown, "draw", 1))
    assert (mine.ephemeral, member.spec(mine)["prompt"]) == (True, "mine")
    await prefers(stage, member, PRIVATE)
    assert not (await member.imagine(prompt="for all —public", count=1)).ephemeral


async def test_published_behind_more_the_private_card_says_so_too(stage, member):
    card = await private_card(stage, member)
    more = await member.shown(await member.press(card, "more"), lambda found: "publish" in verbs(found))
    await member.press(more, "publish")
    for message_id in (more.id, card.id):
        await member.shown(message_id, lambda found: "Published" in found.text and not verbs(found))


async def test_nothing_is_published_where_nothing_may_be_seen(stage, member, monkeypatch):
    card = await private_card(stage, member)

    async def blocked(images, where):
        return {image.id: Shown.BLOCK for image in images}

    monkeypatch.setattr(stage.studio.safety.judge, "shown", blocked)
    await refused(member, await member.press(card, "publish"), "publish_withheld")
    await refused(member, await press(stage, member, "original", member.job(card)["id"]), "original_veiled")
    assert member.job(card)["private"] == 1


async def test_a_moderator_reads_no_private_prompt_in_the_list_of_jobs(stage, member):
    stage.painter.hold()
    await member.begin(prompt="my secret --private", count=1)
    await member.begin(prompt="a cat", count=1)
    moderator = await stage.visitor("Moderator")
    rows = await moderator.autocomplete("general", "cancel", "job")
    assert ["a cat" in str(row) for row in rows] == [True]
    stage.painter.release()


async def test_an_original_that_no_message_holds_comes_in_strips(stage, member, monkeypatch):
    out = io.BytesIO()
    Pillow.merge("RGB", [Pillow.effect_noise((160, 160), 90) for _ in range(3)]).save(out, "PNG")
    card = await member.imagine(prompt="a cat", count=1)
    await stage.told()

    async def noise(_):
        return out.getvalue()

    monkeypatch.setattr(stage.studio.images, "read", noise)
    monkeypatch.setattr("bot.studio.originals._limit_bytes", lambda _: len(out.getvalue()) // 2)
    more = await member.shown(await member.press(card, "more"), lambda found: "original" in verbs(found))
    await member.press(more, "original")
    got = await member.wait_for_message("general", lambda found: found.ephemeral and "strips" in found.text)
    assert len(got.raw["attachments"]) > 2
