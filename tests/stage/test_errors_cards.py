"""Buttons of cards whose record, file or right is gone meanwhile: said to whoever pressed, and nothing has changed."""

import asyncio
import io

from PIL import Image

from tests.stage.pictures_given import picture
from tests.stage.refusing import press, refused, unchanged
from tests.stage.visitor import verbs

GONE = "zzzzzzzzzzzzzzzz"
UNKNOWN = (
    ("upscale", None, "picture_unknown"),
    ("zoom", 200, "picture_unknown"),
    ("info", None, "picture_unknown"),
    ("reroll", None, "job_unknown"),
    ("edit", None, "job_unknown"),
    ("tweak", None, "job_unknown"),
    ("more", None, "job_unknown"),
    ("publish", None, "job_unknown"),
    ("original", None, "job_unknown"),
    ("drawtags", None, "job_unknown"),
    ("draw", None, "draft_unknown"),
    ("history", 1, "history_unknown"),
    ("historyundo", None, "deletion_over"),
    ("exportpart", 1, "export_unknown"),
    ("forget", None, "not_you"),
    ("usefound", 0, "find_unknown"),
    ("shelf", 1, "shelf_unknown"),
    ("tags", 1, "tags_unknown"),
    ("downloadcancel", None, "download_gone"),
    ("appeal", None, "appeal_unknown"),
    ("settings", None, "button_unknown"),
    ("neverwas", None, "button_unknown"),
)


async def test_cards_of_what_is_not_kept_any_more(stage):
    member = await stage.visitor()
    async with unchanged(stage, "finds"):
        for verb, n, key in UNKNOWN:
            await refused(member, await press(stage, member, verb, GONE, n), key)


async def test_pictures_whose_file_is_gone(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    (image,) = member.images(card)
    for path in (stage.settings.data / "outputs").rglob("*.png"):
        path.unlink()
    async with unchanged(stage):
        for button in ("zoom", "region"):
            await refused(member, await member.press(card, button), "source_deleted")
        await refused(member, await press(stage, member, "original", image["job_id"]), "original_gone")


async def test_other_peoples_cards(stage):
    member, other = await stage.visitor(), await stage.visitor("Visitor")
    card = await member.imagine(count=1)
    private = await member.imagine(count=1, prompt="a pear --private")
    (hidden,) = stage.rows("SELECT id FROM jobs WHERE spec LIKE '%pear%'")
    stage.painter.hold()
    answer = await member.slash("general", "imagine", {"prompt": "a plum", "count": 1})
    waiting = await member.shown(answer, lambda m: "cancel" in verbs(m))
    await stage.painter.asked(3)
    before = stage.rows("SELECT status, private FROM jobs ORDER BY id")
    (running,) = stage.rows("SELECT id FROM jobs WHERE spec LIKE '%plum%'")
    await refused(other, await other.press(card, "delete"), "not_your_picture")
    await refused(other, await other.press(waiting, "cancel"), "not_your_job")
    await refused(other, await other.slash("general", "cancel", {"job": running["id"]}), "not_your_job")
    await refused(other, await press(stage, other, "publish", hidden["id"]), "not_your_picture")
    await refused(other, await press(stage, other, "original", hidden["id"]), "original_not_yours")
    await refused(member, await press(stage, member, "publish", member.job(card)["id"]), "published_already")
    assert private.ephemeral
    assert stage.rows("SELECT status, private FROM jobs ORDER BY id") == before
    stage.painter.release()


async def test_an_original_that_fits_nowhere(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    fault = stage.fault("POST", r"^/webhooks/", 413, code=40005, times=2)
    async with unchanged(stage):
        await refused(member, await press(stage, member, "original", member.job(card)["id"]), "original_too_large")
    assert fault.met == 2


async def test_a_message_without_a_picture(stage):
    member = await stage.visitor()
    said = await member.say("general", "hello")
    message = await member.shown(said, lambda m: m.text)
    async with unchanged(stage):
        for menu in ("Picture info", "Upscale", "Describe"):
            await refused(member, await member.context_menu(message, menu), "no_picture_here")


async def test_lists_of_found_pictures_belong_to_whoever_asked(stage):
    member = await stage.visitor()
    answer = await member.slash("general", "png-info", {}, {"image": ("a.png", picture("a cat\nSteps: 3"))})
    card = await member.shown(answer)
    await asyncio.to_thread(stage.execute, "DELETE FROM finds")
    async with unchanged(stage):
        await refused(member, await member.press(card, "usefound"), "find_unknown")


async def test_a_mask_of_a_region(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1)
    panel = await member.shown(await member.press(card, "region"))
    cells = [option["value"] for item in panel.components() for option in item.get("options") or ()]
    async with unchanged(stage):
        for size, key in (((96, 64), "region_mask_size"), ((512, 512), "region_mask_empty")):
            form = await member.pick(panel, "regioncells", [cells[0]])
            await refused(member, await member.fill(form, {}, {"mask": ("m.png", black(size))}), key)


def black(size):
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "PNG")
    return out.getvalue()
