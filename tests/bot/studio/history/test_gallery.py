"""/history, end to end: pages, filters, one picture, going on from it, deleting."""

from __future__ import annotations

import io

from PIL import Image

from tests.stage.visitor import verbs


async def opened(person, /, channel="general", **options):
    return await person.shown(await person.slash(channel, "history", options), channel=channel)


def half_white(width, height):
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (0, 0, width // 2, height))
    out = io.BytesIO()
    mask.save(out, "PNG")
    return out.getvalue()


async def test_a_page_and_what_is_on_it(stage):
    member, other = await stage.visitor(), await stage.visitor("Other")
    empty = await opened(member)
    assert empty.ephemeral
    assert "/imagine" in empty.text
    assert not empty.media
    await member.imagine(prompt="a red fox", count=4, seed=5)
    await other.imagine(prompt="not mine", count=1)
    await member.imagine(prompt="a blue <lora:inkwash:0.5> apple", count=1, seed=9)
    card = await opened(member)
    assert len(card.media) == 5
    assert "5 pictures" in card.text
    assert "not mine" not in str(card.raw)
    with Image.open(io.BytesIO(await member.download(card.media[0]))) as picture:
        assert (picture.format, max(picture.size)) == ("WEBP", 384)
    assert len(await _media(member, search="FOX")) == 4
    assert len(await _media(member, search="fox apple")) == 0
    assert len(await _media(member, lora="inkwash")) == 1
    assert len(await _media(member, model="dreamy", since="1d")) == 5
    assert len(await _media(member, until="2020-01")) == 0
    assert "date" in await member.told(await member.slash("general", "history", {"since": "soon"}))


async def _media(member, **options):
    return (await opened(member, **options)).media


async def test_turning_pages_works_after_a_restart(stage):
    member = await stage.visitor()
    for number in range(3):
        await member.imagine(prompt=f"number {number}", count=4)
    card = await opened(member)
    assert len(card.media) == 9
    await stage.restart()
    await member.press(card, "history", 1)
    second = await member.shown(card.id, lambda m: len(m.media) == 3)
    assert "page 2 of 2" in second.text
    await member.press(second, "history", 0)
    await member.shown(card.id, lambda m: len(m.media) == 9)


async def test_a_search_form_and_taking_filters_away(stage):
    member = await stage.visitor()
    await member.imagine(prompt="a red fox", count=1)
    await member.imagine(prompt="a green frog", count=1)
    card = await opened(member)
    form = await member.press(card, "historysearch")
    await member.fill(form, {"words": "frog", "since": "2 days"})
    found = await member.shown(card.id, lambda m: len(m.media) == 1)
    assert "words: frog" in found.text
    await member.press(found, "historyfilter", 3)
    await member.shown(card.id, lambda m: len(m.media) == 2)


async def test_one_picture_its_favourite_and_its_file(stage):
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red fox", count=2, seed=3)
    images = member.images(drawn)
    card = await opened(member)
    await member.pick(card, "historyopen", [images[1]["id"]])
    page = await member.shown(card.id, lambda m: "seed 4" in m.text)
    assert f"/{member.job(drawn)['message_id']}" in page.text
    await member.press(page, "historypicture", 1)
    await member.shown(card.id, lambda m: any(item.get("style") == 3 for item in m.components()))
    await member.press(page, "history")
    await member.shown(card.id, lambda m: len(m.media) == 2)
    await member.press(card, "historyfilter", 1)
    kept = await member.shown(card.id, lambda m: len(m.media) == 1)
    await member.pick(kept, "historyopen", [images[1]["id"]])
    page = await member.shown(card.id, lambda m: "seed 4" in m.text)
    handed = await member.shown(await member.press(page, "historypicture", 2), lambda m: m.attachments)
    assert handed.ephemeral
    data = await member.download(handed.attachments[0]["url"])
    assert data == (stage.settings.outputs_dir / images[1]["path"]).read_bytes()


async def test_going_on_from_a_picture(stage):
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red fox", count=2, seed=3)
    images = member.images(drawn)
    card = await opened(member)
    await member.pick(card, "historyopen", [images[0]["id"]])
    page = await member.shown(card.id, lambda m: "seed 3" in m.text)

    form = await member.pick(page, "historysend", ["img2img"])
    redrawn = await member.drawn(await member.fill(form, {"prompt": "a blue fox", "denoise": "0,4", "count": "1"}))
    spec = stage.painter.specs[-1]
    assert (spec.kind, spec.prompt, spec.denoising_strength, spec.count) == ("img2img", "a blue fox", 0.4, 1)
    assert stage.painter.input(spec.image) == (stage.settings.outputs_dir / images[0]["path"]).read_bytes()
    assert member.images(redrawn)[0]["parent_image_id"] == images[0]["id"]

    form = await member.pick(page, "historysend", ["inpaint"])
    await member.drawn(await member.fill(form, {"count": "1"}, {"mask": ("mask.png", half_white(256, 256))}))
    assert stage.painter.specs[-1].mask is not None

    form = await member.pick(page, "historysend", ["inpaint"])
    await member.fill(form, {"count": "1"}, {"mask": ("mask.png", half_white(8, 64))})
    await member.wait_for_message("general", lambda m: m.ephemeral and "8×64" in m.text)

    await member.drawn(await member.pick(page, "historysend", ["upscale"]))
    assert stage.painter.specs[-1].hires.source is not None
    await member.press(page, "history")
    card = await member.shown(card.id, lambda m: len(m.media) == 5)
    await member.pick(card, "historyopen", [images[0]["id"]])
    page = await member.shown(card.id, lambda m: "made of it" in m.text)
    assert page.text.count("├") + page.text.count("└") == 3


async def test_no_link_leads_to_a_deleted_message(stage):
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red fox", count=1)
    child = await member.drawn(await member.press(drawn, "upscale"))
    card = await opened(member)
    await member.pick(card, "historyopen", [member.images(child)[0]["id"]])
    page = await member.shown(card.id, lambda m: "made of it" in m.text)
    assert page.text.count(f"/{child.id})") == 1
    assert page.text.count(f"/{drawn.id})") == 1
    stage.discord.delete_message(int(drawn.channel_id), int(drawn.id))
    await stage.restart()
    await member.press(page, "history")
    card = await member.shown(card.id, lambda m: len(m.media) == 2)
    await member.pick(card, "historyopen", [member.images(child)[0]["id"]])
    page = await member.shown(card.id, lambda m: "made of it" in m.text)
    assert f"/{drawn.id})" not in page.text


async def test_every_way_to_go_on_opens(stage):
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red fox", count=1)
    card = await opened(member)
    await member.pick(card, "historyopen", [member.images(drawn)[0]["id"]])
    page = await member.shown(card.id, lambda m: "historysend" in verbs(m))
    ways = next(item for item in page.components() if ":historysend:" in str(item.get("custom_id")))["options"]
    found = {}
    for way in ways:
        answer = await member.pick(page, "historysend", [way["value"]])
        if answer.message_id is not None:
            shown = await member.shown(answer)
            assert "reference" not in shown.text, shown.text
        found[way["value"]] = answer.kind
    assert found["img2img"] == found["inpaint"] == found["enlarge"] == found["ultimate"] == "modal"
    assert set(found) == {
        "img2img", "inpaint", "region", "control", "upscale", "enlarge", "ultimate", "tweak", "vary",
    }  # fmt: skip
    info = await member.shown(await member.press(page, "info"))
    assert "reference" not in info.text


async def test_bulk_delete_and_undo(stage):
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red fox", count=4)
    images = member.images(drawn)
    card = await opened(member)
    await member.press(card, "historychoose", 1)
    card = await member.shown(card.id, lambda m: "historymark" in verbs(m))
    await member.pick(card, "historymark", [images[0]["id"], images[1]["id"]])
    card = await member.shown(card.id, lambda m: "2 pictures are chosen" in m.text)
    await member.press(card, "historydelete", 1)
    asked = await member.shown(card.id, lambda m: "2 pictures will be deleted" in m.text)
    await member.press(asked, "historydelete", 2)
    card = await member.shown(card.id, lambda m: len(m.media) == 2)
    undo = await member.wait_for_message("general", lambda m: "historyundo" in verbs(m))
    assert all((stage.settings.outputs_dir / image["path"]).exists() for image in images)
    await stage.restart()
    await member.press(undo, "historyundo")
    await member.shown(undo.id, lambda m: "2 pictures are back" in m.text)
    await member.press(card, "historyfilter", 1)
    card = await member.shown(card.id, lambda m: not m.media)
    await member.press(card, "historyfilter", 3)
    await member.shown(card.id, lambda m: len(m.media) == 4)


async def test_too_late_to_bring_back(stage):
    member = await stage.visitor()
    await member.imagine(prompt="a red fox", count=1)
    card = await opened(member)
    await member.pick(card, "historyopen", [stage.rows("SELECT id FROM images")[0]["id"]])
    page = await member.shown(card.id, lambda m: "historysend" in verbs(m))
    await member.press(page, "historydelete", 3)
    asked = await member.shown(card.id, lambda m: "1 picture will be deleted" in m.text)
    await member.press(asked, "historydelete", 4)
    undo = await member.wait_for_message("general", lambda m: "historyundo" in verbs(m))
    stage.execute("UPDATE deletions SET due_at = 1")
    assert "too late" in await member.told(await member.press(undo, "historyundo"))


async def test_what_is_due_goes_with_its_card(stage):
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red fox", count=2)
    images = member.images(drawn)
    card = await opened(member)
    await member.press(card, "historychoose", 1)
    card = await member.shown(card.id, lambda m: "historymark" in verbs(m))
    await member.press(card, "historychoose", 3)
    card = await member.shown(card.id, lambda m: "2 pictures are chosen" in m.text)
    await member.press(card, "historydelete", 1)
    asked = await member.shown(card.id, lambda m: "will be deleted" in m.text)
    await member.press(asked, "historydelete", 2)
    await member.wait_for_message("general", lambda m: "historyundo" in verbs(m))
    stage.execute("UPDATE deletions SET due_at = 1")
    assert await stage.studio.history.deleting.finish_due() == 2
    await member.gone(drawn)
    assert not any((stage.settings.outputs_dir / image["path"]).exists() for image in images)
    assert stage.rows("SELECT deleted_at FROM jobs")[0]["deleted_at"] is not None


async def test_others_see_nothing(stage):
    member, other = await stage.visitor(), await stage.visitor("Other")
    drawn = await member.imagine(prompt="a red fox", count=1)
    card = await opened(member)
    # A desk is its owner's alone, whatever address comes in.
    stage.execute("UPDATE history_desks SET user_id = ?", int(other.user_id))
    assert "/history" in await member.told(await member.press(card, "historyfilter", 1))
    theirs = await opened(other)
    assert not theirs.media
    forged = "UPDATE history_desks SET state = json_set(state, '$.opened', ?) WHERE user_id = ?"
    stage.execute(forged, member.images(drawn)[0]["id"], int(other.user_id))
    stage.execute("UPDATE images SET deleted_at = NULL")
    assert "manage" in await other.told(await other.slash("general", "history", {"member": member.user_id}))


async def test_a_server_manager_sees_what_is_public(stage):
    member, admin = await stage.visitor(), await stage.visitor("Admin")
    await member.imagine(prompt="a public fox", count=1)
    card = await opened(admin, member=member.user_id)
    assert len(card.media) == 1
    assert "historyexport" not in verbs(card)
    own = await opened(admin)
    assert not own.media


async def test_a_card_shows_what_is_left_of_it(stage):
    member = await stage.visitor()
    drawn = await member.imagine(prompt="a red fox", count=3)
    images = member.images(drawn)
    card = await opened(member)
    await member.pick(card, "historyopen", [images[1]["id"]])
    page = await member.shown(card.id, lambda m: "historysend" in verbs(m))
    await member.press(page, "historydelete", 3)
    asked = await member.shown(card.id, lambda m: "1 picture will be deleted" in m.text)
    await member.press(asked, "historydelete", 4)
    await member.shown(card.id, lambda m: len(m.media) == 2)
    await stage.told()
    stage.execute("UPDATE deletions SET due_at = 1")
    assert await stage.studio.history.deleting.finish_due() == 1
    left = await member.shown(drawn.id, lambda m: len(m.media) == 2)
    assert images[1]["id"] not in str(left.raw)
    assert images[2]["id"] in str(left.raw)
    assert "rules" not in left.text


async def test_moderators_delete_where_they_moderate(stage):
    member, admin = await stage.visitor(), await stage.visitor("Admin")
    await member.imagine(prompt="a public fox", count=1)
    card = await opened(admin, member=member.user_id)
    await admin.pick(card, "historyopen", [stage.rows("SELECT id FROM images")[0]["id"]])
    page = await admin.shown(card.id, lambda m: "historydelete" in verbs(m))
    await admin.press(page, "historydelete", 3)
    asked = await admin.shown(card.id, lambda m: "Se borrará" in m.text)
    await admin.press(asked, "historydelete", 4)
    await admin.shown(card.id, lambda m: "no ha hecho público" in m.text)
    assert stage.rows("SELECT deleted_at FROM images")[0]["deleted_at"] is not None
