"""/random, /repeat and /inpaint, end to end."""

import pytest

from bot.domain.random_prompts import themes
from tests.stage.pictures_given import picture

# --- /random ----------------------------------------------------------------------------------------------------------


async def test_something_random(stage):
    member = await stage.visitor()
    first = await member.drawn(await member.slash("general", "random", {"count": 1}))
    second = await member.drawn(await member.slash("general", "random", {"count": 1}))
    assert member.spec(first)["prompt"] != member.spec(second)["prompt"]
    assert await member.drawn(await member.press(first, "reroll"))


async def test_a_theme_in_ones_own_language(stage):
    admin = await stage.visitor("Admin")
    rows = await admin.autocomplete("general", "random", "theme", {"theme": "comi"})
    assert (rows[0]["name"], rows[0]["value"]) == ("Comida", "food")
    for theme in ("food", "Comida", "COMIDA"):
        card = await admin.drawn(await admin.slash("general", "random", {"theme": theme, "count": 1}))
        assert any(admin.spec(card)["prompt"].startswith(subject) for subject in themes()["food"].subjects)


async def test_a_wildcard_as_theme(stage):
    member = await stage.visitor()
    rows = await member.autocomplete("general", "random", "theme", {"theme": "__anim"})
    assert rows[0]["value"] == "__animal__"
    card = await member.drawn(await member.slash("general", "random", {"theme": "__animal__", "count": 2}))
    spec = member.spec(card)
    assert spec["template"]["prompt"].startswith("__animal__")
    assert all("__" not in text.prompt for text in stage.painter.specs[-1].texts)


async def test_a_theme_that_nobody_has(stage):
    member = await stage.visitor()
    assert "Did you mean" in await member.told(await member.slash("general", "random", {"theme": "antimals"}))


# --- /repeat ----------------------------------------------------------------------------------------------------------


async def test_the_last_request_with_a_new_seed(stage):
    member, ann = await stage.visitor(), await stage.visitor("Ann")
    await member.imagine(prompt="a tree", seed=3, count=2, steps=9)
    await ann.imagine(prompt="not this one", count=1)
    card = await member.drawn(await member.slash("general", "repeat", {}))
    spec = member.spec(card)
    assert (spec["prompt"], spec["steps"], spec["count"]) == ("a tree", 9, 2)
    assert spec["seed"] != 3


async def test_with_changes(stage):
    member = await stage.visitor()
    await member.imagine(prompt="a tree", seed=3, count=2, width=256, height=256, negative="fog")
    options = {"add": "in snow", "aspect": "16:9", "keep_seed": True, "steps": 7, "negative": ""}
    card = await member.drawn(await member.slash("general", "repeat", options))
    spec = member.spec(card)
    assert (spec["prompt"], spec["negative_prompt"], spec["seed"], spec["steps"]) == ("a tree, in snow", "", 3, 7)
    assert spec["width"] > spec["height"]
    card = await member.drawn(await member.slash("general", "repeat", {"prompt": "a bush --seed 8"}))
    assert (member.spec(card)["prompt"], member.spec(card)["seed"]) == ("a bush", 8)
    assert member.job(card)["parent_id"] is not None


async def test_with_other_loras(stage):
    member = await stage.visitor()
    await member.imagine(prompt="a tree", count=1, checkpoint="dreamy", lora="inkwash:0.4")
    card = await member.drawn(await member.slash("general", "repeat", {"lora": "inkwash:0.9"}))
    assert member.spec(card)["prompt"] == "a tree <lora:inkwash:0.9>"
    told = await member.told(await member.slash("general", "repeat", {"lora": "neon"}))
    assert "another kind of model" in told


async def test_of_a_picture_of_ones_own(stage):
    member = await stage.visitor()
    answer = await member.slash(
        "general", "imagine", {"prompt": "a boat", "count": 1}, attachments={"image": ("a.png", picture())}
    )
    await member.drawn(answer)
    card = await member.drawn(await member.slash("general", "repeat", {"denoise": 0.2}))
    assert (member.spec(card)["kind"], member.spec(card)["denoising_strength"]) == ("img2img", 0.2)


async def test_of_an_enlargement_what_was_enlarged(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a tree", count=1, width=256, height=256)
    await member.drawn(await member.slash("general", "upscale", {"picture": member.images(card)[0]["id"]}))
    again = await member.drawn(await member.slash("general", "repeat", {}))
    assert member.spec(again)["prompt"] == "a tree"


@pytest.mark.parametrize(
    ("options", "sentence"), [({"checkpoint": "nobody"}, "no checkpoint called"), ({"add": "naked child"}, "under age")]
)
async def test_what_is_refused(stage, options, sentence):
    member = await stage.visitor()
    assert "not asked for a picture yet" in await member.told(await member.slash("general", "repeat", options))
    await member.imagine(count=1)
    assert sentence in await member.told(await member.slash("general", "repeat", options))


# --- /inpaint ---------------------------------------------------------------------------------------------------------


async def inpaint(member, image, mask, **options):
    files = {"mask": ("mask.png", mask)} | ({"image": ("a.png", image)} if image is not None else {})
    return await member.slash("general", "inpaint", {"prompt": "a hat", "count": 1, **options}, attachments=files)


async def test_every_option_of_a_mask(stage):
    member = await stage.visitor()
    options = {
        "denoise": 0.9, "fill": "latent noise", "only_masked": True, "padding": 12, "mask_blur": 9, "invert": True,
        "negative": "fog", "seed": 4,
    }  # fmt: skip
    card = await member.drawn(await inpaint(member, picture(), picture(size=(96, 64)), **options))
    spec = member.spec(card)
    assert (spec["prompt"], spec["negative_prompt"], spec["denoising_strength"]) == ("a hat", "fog", 0.9)
    mask = {key: spec["mask"][key] for key in ("blur", "invert", "content", "only_masked", "padding_px")}
    assert mask == {"blur": 9, "invert": True, "content": "latent noise", "only_masked": True, "padding_px": 12}


async def test_a_picture_of_ours(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1, width=128, height=128)
    image = member.images(card)[0]
    drawn = await member.drawn(await inpaint(member, None, picture(size=(128, 128)), picture=image["id"]))
    assert stage.painter.specs[-1].image.sha256 == image["sha256"]
    assert member.job(drawn)["source_image_id"] == image["id"]
    assert await member.drawn(await member.press(drawn, "reroll"))


@pytest.mark.parametrize(
    ("image", "mask", "options", "sentence"),
    [
        (picture(), picture(size=(10, 10)), {}, "The mask is 10×10"),
        (picture(), b"no picture", {}, "cannot read"),
        (None, picture(), {}, "Which picture?"),
        (None, picture(), {"picture": "nothing"}, "I know no picture"),
        (picture(), picture(), {"style": "nobody's"}, "style"),
        (picture(), picture(), {"width": 100}, "multiples of 8"),
        (picture(), picture(), {"prompt": "naked child"}, "under age"),
    ],
)
async def test_what_cannot_be_inpainted(stage, image, mask, options, sentence):
    member = await stage.visitor()
    await inpaint(member, image, mask, **options)
    told = await member.wait_for_message("general", lambda one: one.ephemeral)
    assert sentence in told.text
    assert stage.painter.assigned == []
    assert [path for path in stage.settings.inputs_dir.rglob("*") if path.is_file()] == []
