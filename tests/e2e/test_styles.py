"""Styles: kept from options or from a finished card, used by name, and nobody else's."""

import uuid

import pytest


@pytest.fixture
def name():
    """A style name of this test's own: the product is shared."""
    return f"Ink {uuid.uuid4().hex[:6]}"


async def test_save_list_show_use_rename_delete(member, moderator, name):
    options = {"name": name, "prompt": "{prompt}, on a yellow background", "negative": "blurry", "steps": 3, "count": 2}
    assert name in await member.told(await member.slash("general", "style save", options))
    assert name in await member.told(await member.slash("general", "style list"))
    shown = await member.told(await member.slash("general", "style show", {"name": name.upper()}))
    assert "on a yellow background" in shown
    assert "steps 3" in shown

    card = await member.imagine(prompt="a green square", style=name, seed=1)
    spec = member.spec(card)
    assert spec["prompt"] == "a green square, on a yellow background"
    assert (spec["negative_prompt"], spec["steps"], spec["count"]) == ("blurry", 3, 2)
    # An option goes before the style.
    assert member.spec(await member.imagine(prompt="a cat", style=name, count=1))["count"] == 1

    assert "no style" in await moderator.told(await moderator.slash("general", "style show", {"name": name}))

    new_name = name.replace("Ink", "Oil")
    answer = await member.slash("general", "style rename", {"name": name, "new_name": new_name})
    assert new_name in await member.told(answer)
    choices = await member.autocomplete("general", "imagine", "style", {"style": new_name[:5].lower()})
    assert new_name in [choice["value"] for choice in choices]
    assert "Did you mean" in await member.told(await member.slash("general", "imagine", {"prompt": "x", "style": name}))
    assert new_name in await member.told(await member.slash("general", "style delete", {"name": new_name}))
    assert "no style" in await member.told(await member.slash("general", "style delete", {"name": new_name}))


async def test_save_from_a_finished_card(member, name):
    card = await member.imagine(prompt="a red heart", negative="dark", steps=4, cfg=3, count=1, sampler="DDIM")
    form = await member.click(await member.more(card), "Save as style")
    shown = {part["component"]["custom_id"]: part["component"] for part in form.modal["components"]}
    assert shown["prompt"]["value"] == "a red heart"
    assert "Steps: 4" in shown["keep"]["options"][0]["label"]
    answer = await member.submit_modal(form, {"name": name, "prompt": "{prompt}, like a red heart"})
    assert name in await member.told(answer)
    spec = member.spec(await member.imagine(prompt="a star", style=name, count=1))
    assert spec["prompt"] == "a star, like a red heart"
    assert (spec["steps"], spec["cfg_scale"], spec["sampler"], spec["negative_prompt"]) == (4, 3, "DDIM", "dark")

    # The same name again is refused, unless it is meant to replace the other.
    form = await member.click(await member.more(card), "Save as style")
    assert "already a style" in await member.told(await member.submit_modal(form, {"name": name}))
    form = await member.click(await member.more(card), "Save as style")
    answer = await member.submit_modal(form, {"name": name, "keep": "no", "prompt": "only words", "replace": True})
    assert name in await member.told(answer)
    shown = await member.told(await member.slash("general", "style show", {"name": name}))
    assert "only words" in shown
    assert "steps" not in shown


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "x"}, "nothing to save"),
        ({"name": "@everyone", "prompt": "x"}, "may not contain"),
        ({"name": "big", "width": 130}, "width"),
    ],
)
async def test_a_style_that_cannot_be_kept_says_why(member, options, sentence):
    assert sentence in await member.told(await member.slash("general", "style save", options))
