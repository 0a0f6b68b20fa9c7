"""What the buttons draw, judged by the pictures, and whose the new job is."""

import hashlib
import io

import pytest
from PIL import Image

from gpu_worker.language.infotext import parse_infotext
from tests.e2e.look import background, difference, sharpness
from tests.e2e.visitor import APPLE


async def only(visitor, card):
    (picture,) = await visitor.pictures(card)
    return picture


async def test_u_draws_new_detail_at_twice_the_size(member):
    card = await member.imagine(seed=21, steps=12, count=2)
    first = (await member.pictures(card))[1]
    upscaled = await member.press(card, "U2")
    picture = await only(member, upscaled)
    assert picture.size == (256, 256)
    # The same scene, but no mere resize of it: there is more in it than any interpolation finds.
    resized = first.resize((256, 256), Image.Resampling.LANCZOS)
    assert background(picture) == "blue"
    assert 2 < difference(picture, resized) < 40
    assert sharpness(picture) > 1.1 * sharpness(resized)
    # Where it came from is on record.
    (row,) = member.images(upscaled)
    assert row["parent_image_id"] == member.images(card)[1]["id"]
    assert row["action"] == "upscale"
    fields = parse_infotext(row["infotext"]).fields
    assert (fields["Seed"], fields["Size-1"]) == ("22", "128")
    assert "Denoising strength" in fields


async def test_results_of_results_and_their_limit(member):
    card = await member.imagine(prompt="a cat", seed=3, steps=4, count=1)
    varied = await member.press(card, "Vary")
    assert varied.labels[:4] == ("U1", "U2", "U3", "U4")
    rerolled = await member.press(varied, "Reroll")
    upscaled = await member.press(rerolled, "U2" if "U2" in rerolled.labels else "Creative")
    again = await member.press(upscaled, "Vary +")
    assert len(again.media) == 4
    # A variation of an enlarged picture starts from the noise it was drawn from, at its own size.
    assert {picture.size for picture in await member.pictures(again)} == {(128, 128)}
    twice = await member.press(upscaled, "Creative")
    assert (await only(member, twice)).size == (512, 512)


async def test_variations_keep_the_seed_and_strong_ones_go_further(member):
    card = await member.imagine(seed=30, steps=12, count=3)
    third = (await member.pictures(card))[2]
    subtle = await member.press(card, "V3")
    panel = await member.more(card)
    await member.select(panel, member.address(panel, "morepicture"), ["2"])
    panel = await member.shown("general", panel.id, lambda m: "Picture 3 of 3" in m.text, 20)
    strong = await member.press(panel, "Vary +")
    near, far = [
        sum(difference(third, picture) for picture in await member.pictures(found)) / 4 for found in (subtle, strong)
    ]
    assert 0.5 < near < far
    specs = [member.spec(found) for found in (subtle, strong)]
    assert [spec["seed"] for spec in specs] == [32, 32]
    assert specs[0]["variations"][0]["strength"] < specs[1]["variations"][0]["strength"]
    # Four different pictures, not four times the same.
    assert len({hashlib.sha256(p.tobytes()).digest() for p in await member.pictures(subtle)}) == 4
    assert "Subtle variation" in subtle.text
    assert "Strong variation" in strong.text


async def test_reroll_draws_with_a_new_seed(member):
    card = await member.imagine(prompt="a dog", seed=4, steps=4, count=2)
    again = await member.press(card, "Reroll")
    before, after = member.spec(card), member.spec(again)
    assert after["seed"] != before["seed"]
    assert {**after, "seed": 0} == {**before, "seed": 0}
    assert len(again.media) == 2


async def test_who_presses_owns_the_new_job(member, moderator):
    card = await member.imagine(prompt="a panda", steps=3, count=1)
    again = await moderator.press(card, "Creative")
    assert str(moderator.job(again)["user_id"]) == moderator.user_id
    assert f"Upscale of a picture by <@{member.user_id}> · for <@{moderator.user_id}>" in again.text
    assert "of a picture by" not in (await member.press(card, "Creative")).text


async def test_edit_form_is_filled_and_changes_what_is_changed(member):
    card = await member.imagine(negative="blurry", seed=8, steps=4, count=1, cfg=4, sampler="DDIM")
    form = await member.click(card, "Edit")
    assert form.kind == "modal"
    shown = {part["component"]["custom_id"]: part["component"] for part in form.modal["components"]}
    assert shown["prompt"]["value"] == APPLE
    assert shown["negative"]["value"] == "blurry"
    assert [o["value"] for o in shown["sampler"]["options"] if o.get("default")] == ["DDIM"]
    assert "Seed: 8" in shown["parameters"]["value"]
    assert "Size: 128x128" in shown["parameters"]["value"]
    # Sent unchanged, it draws the same picture: the seed stays.
    same = await member.shown("general", member.started(await member.submit_modal(form, {})))
    assert await member.download(same.media[0]) == await member.download(card.media[0])
    assert "Edit" in same.text

    changed_line = (
        shown["parameters"]["value"].replace("Steps: 4", "steps: 6").replace("CFG scale: 4", "CFG scale: 5,5")
    )
    form = await member.click(card, "Edit")
    answer = await member.submit_modal(form, {"prompt": "a green square", "parameters": changed_line})
    edited = member.spec(await member.shown("general", member.started(answer)))
    assert (edited["prompt"], edited["steps"], edited["cfg_scale"], edited["seed"]) == ("a green square", 6, 5.5, 8)
    assert edited["negative_prompt"] == "blurry"


async def test_a_seed_taken_out_of_the_form_is_drawn_anew(member):
    card = await member.imagine(prompt="a star", seed=8, steps=3, count=1)
    form = await member.click(card, "Edit")
    answer = await member.submit_modal(form, {"parameters": "Steps: 3\nCount: 2"})
    spec = member.spec(await member.shown("general", member.started(answer)))
    assert spec["seed"] != 8
    assert spec["count"] == 2


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ("Steps: many", "is no number"),
        ("20", "Write one per line"),
        ("Steps: 2000", "2000 steps are not possible"),
        ("Size: 130x128", "multiples of 8"),
        ("Seed: 8, Model: nosuchmodel", "no checkpoint called"),
    ],
)
async def test_a_form_that_cannot_be_drawn_says_why(member, parameters, sentence):
    card = await member.imagine(prompt="a star", seed=8, steps=3, count=1)
    form = await member.click(card, "Edit")
    assert sentence in await member.told(await member.submit_modal(form, {"parameters": parameters}))


async def test_a_long_prompt_keeps_the_part_that_no_form_can_show(member):
    prompt = "a cat, " + ", ".join(f"word{number}" for number in range(600)) + " 🍎"
    assert len(prompt) > 5000
    card = await member.imagine(prompt=prompt, seed=8, steps=2, count=1)
    form = await member.click(card, "Edit")
    answer = await member.submit_modal(form, {})
    spec = member.spec(await member.shown("general", member.started(answer)))
    assert spec["prompt"] == prompt
    note = await member.wait_for_message("general", lambda m: m.ephemeral and "4000" in m.text, 10)
    assert "kept" in note.text


async def test_a_picture_gone_from_the_disk_is_drawn_again_on_the_way(member):
    card = await member.imagine(prompt="a house", seed=12, steps=5, count=2)
    would_have_been = await only(member, await member.press(card, "U2"))
    member.files(card)[1].unlink()
    drawn_again = await only(member, await member.press(card, "U2"))
    assert difference(would_have_been, drawn_again) < 1.0
    # And of what is damaged on disk, too: its hash tells.
    path = member.files(card)[0]
    data = path.read_bytes()
    path.write_bytes(data[:-100] + bytes(100))
    assert (await only(member, await member.press(card, "U1"))).size == (256, 256)


async def test_delete_by_its_author_and_a_moderator_and_by_nobody_else(member, moderator, admin):
    card = await member.imagine(prompt="a star", steps=2, count=1)
    files = member.files(card)
    theirs = await moderator.imagine(prompt="a star", steps=2, count=1)
    assert "somebody else's picture" in await member.told(await member.click(theirs, "Delete"))
    assert files[0].exists()
    assert (await moderator.click(card, "Delete")).kind == "deferred_update"
    await member.gone(card.id)
    assert not files[0].exists()
    await moderator.click(theirs, "Delete")
    await moderator.gone(theirs.id)
    mine = await member.imagine(prompt="a star", steps=2, count=1)
    await member.click(mine, "Delete")
    await admin.gone(mine.id)


async def test_what_was_made_from_a_deleted_picture_still_works(member):
    card = await member.imagine(prompt="a fox", seed=2, steps=4, count=1)
    upscaled = await member.press(card, "Creative")
    await member.click(card, "Delete")
    await member.gone(card.id)
    assert len((await member.press(upscaled, "Vary")).media) == 4


async def test_the_sent_file_is_the_stored_one_after_an_upscale(member):
    upscaled = await member.press(await member.imagine(prompt="a crown", steps=3, count=1), "Creative")
    sent = await member.download(upscaled.media[0])
    assert sent == member.files(upscaled)[0].read_bytes()
    assert Image.open(io.BytesIO(sent)).text["parameters"].startswith("a crown")


async def test_a_pasted_parameter_line_is_used_as_far_as_it_is_known(member):
    card = await member.imagine(prompt="a star", seed=8, steps=3, count=1, sampler="DDIM")
    line = "Steps: 4, Sampler: Euler a, Schedule type: Karras, CFG scale: 3, Seed: 9, Size: 128x128, Hires upscale: 2"
    line += ", Version: v1.10.1, ControlNet 0: depth"
    form = await member.click(card, "Edit")
    answer = await member.submit_modal(form, {"parameters": line})
    spec = member.spec(await member.shown("general", member.started(answer)))
    assert (spec["sampler"], spec["schedule"], spec["steps"], spec["seed"]) == ("Euler a", "Karras", 4, 9)
    note = await member.wait_for_message("general", lambda m: m.ephemeral and "Not used" in m.text, 10)
    assert "ControlNet 0" in note.text
    assert "Version" not in note.text  # it says nothing that a picture depends on
    assert spec["hires"]["scale"] == 2


async def test_more_around_a_picture_and_a_part_of_it(member):
    """Zoom and region as the engine draws them: what is kept is kept, what is new is drawn."""
    card = await member.imagine(seed=21, steps=8, count=1)
    before = await only(member, card)
    zoomed = (await member.pictures(await member.press(card, member.address(card, "zoom"))))[0]
    assert zoomed.size == before.size
    assert background(zoomed) == "blue"
    answer = await member.click(card, member.address(card, "region"))
    panel = await member.shown("general", answer.message_id, lambda m: m.media, 20)
    form = await member.select(panel, member.address(panel, "regioncells"), ["1", "2", "3", "4"])
    sent = await member.submit_modal(form, {"prompt": "a red apple on a green background", "amount": "replace"})
    region = (await member.pictures(await member.shown("general", sent.message_id)))[0]
    kept, new = (0, 90, 128, 128), (0, 0, 128, 24)
    assert difference(region.crop(kept), before.crop(kept)) < 1
    assert difference(region.crop(new), before.crop(new)) > 2
