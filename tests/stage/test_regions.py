"""Regions, from the command over their desk to the worker, and what keeps them afterwards."""

import io

import pytest
from PIL import Image

from gpu_worker.protocol.specs import Txt2Img
from tests.stage.refusing import press, refused, unchanged

BEACH = {"prompt": "a beach", "region1": "a red fox", "region2": "a blue robot", "count": 1, "seed": 5}


async def opened(member, **options):
    return await member.shown(await member.slash("general", "regions", BEACH | options))


async def redrawn(member, answer, words):
    """The desk, which is acknowledged first and drawn when its picture is."""
    return await member.shown(answer, lambda card: words in card.text)


def places(regions):
    return [(a.columns, a.left, a.right, a.rows, a.top, a.bottom, a.weight) for a in regions.areas]


LEFT_RIGHT = [(1, 0, 1, 1, 0, 1, 0.2), (2, 0, 1, 1, 0, 1, 0.8), (2, 1, 2, 1, 0, 1, 0.8)]


async def test_a_layout_is_shown_as_a_picture_and_drawn(stage):
    member = await stage.visitor()
    desk = await opened(member)
    assert desk.ephemeral
    assert "Region 1" in desk.text
    assert "a blue robot" in desk.text
    (attachment,) = desk.attachments
    data = await member.download(attachment["url"])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (768, 768)
        left, right = picture.getpixel((100, 100)), picture.getpixel((668, 100))
    assert left[0] > left[2] + 40
    assert right[2] > right[0] + 40
    card = await member.drawn(await member.press(desk, "draw"))
    assert "Regions: 2" in card.text
    spec = stage.painter.specs[-1]
    assert spec.prompt == "a beach AND a red fox AND a blue robot"
    assert places(spec.regions) == LEFT_RIGHT
    assert spec.regions.end_step == 20
    assert "Latent Couple" in stage.rows("SELECT infotext FROM images")[0]["infotext"]
    # Whatever goes on from it keeps them.
    for verb, n in (("vary", 1), ("reroll", None), ("upscale", None)):
        card_after = await member.drawn(await member.press(card, verb, n))
        assert stage.painter.specs[-1].regions == spec.regions, verb
        assert card_after.text
    await member.drawn(await member.slash("general", "repeat", {}))
    assert stage.painter.specs[-1].regions == spec.regions


async def test_drawn_at_once_with_styles_and_loras_on_the_background(stage):
    member = await stage.visitor()
    options = BEACH | {"layout": "top|bottom", "lora": "inkwash", "weights": "0.3 0.7 0.6", "end_step": 9, "draw": True}
    await member.drawn(await member.slash("general", "regions", options))
    spec = stage.painter.specs[-1]
    assert spec.prompt == "a beach <lora:inkwash:1> AND a red fox AND a blue robot"
    assert places(spec.regions) == [(1, 0, 1, 1, 0, 1, 0.3), (1, 0, 1, 2, 0, 1, 0.7), (1, 0, 1, 2, 1, 2, 0.6)]
    assert (spec.regions.end_step, spec.regions.loras_apart) == (9, False)


async def test_a_background_without_words_keeps_its_lora(stage):
    member = await stage.visitor()
    options = {"prompt": "AND a red fox AND a blue robot", "draw": True}
    await member.drawn(await member.slash("general", "regions", options | {"lora": "inkwash"}))
    assert stage.painter.specs[-1].prompt == "background <lora:inkwash:1> AND a red fox AND a blue robot"
    await member.drawn(await member.slash("general", "regions", options))
    assert stage.painter.specs[-1].prompt == "AND a red fox AND a blue robot"


async def test_the_extensions_own_line_and_a_whole_prompt(stage):
    member = await stage.visitor()
    line = "divisions=1:1,1:3,1:3 positions=0:0,0:0,0:1-3 weights=0.1,0.9,0.9 end at step=12"
    options = {"prompt": "all AND left AND right", "latent_couple": line, "lora_per_region": True, "draw": True}
    await member.drawn(await member.slash("general", "regions", options))
    spec = stage.painter.specs[-1]
    assert spec.prompt == "all AND left AND right"
    assert places(spec.regions) == [(1, 0, 1, 1, 0, 1, 0.1), (3, 0, 1, 1, 0, 1, 0.9), (3, 1, 3, 1, 0, 1, 0.9)]
    assert (spec.regions.end_step, spec.regions.loras_apart) == (12, True)
    # The picture's own text asks for the same again.
    text = stage.rows("SELECT infotext FROM images")[0]["infotext"]
    await member.drawn(await member.slash("general", "imagine", {"prompt": text}))
    assert stage.painter.specs[-1].regions == spec.regions


async def test_every_part_of_the_desk_changes_what_it_says(stage):
    member = await stage.visitor()
    desk = await opened(member)

    async def draft():
        return Txt2Img.model_validate_json(stage.rows("SELECT spec FROM drafts")[-1]["spec"])

    form = await member.pick(desk, "layoutpick", ["1"])
    desk = await redrawn(
        member, await member.fill(form, {"text": "a fox <lora:inkwash:0.5>", "place": "0 0 25 100"}), "0 0 25 100"
    )
    spec = await draft()
    assert spec.prompt == "a beach AND a fox <lora:inkwash:0.5> AND a blue robot"
    assert places(spec.regions)[1] == (4, 0, 1, 1, 0, 1, 0.8)
    form = await member.pick(desk, "layoutpick", ["2"])
    desk = await redrawn(member, await member.fill(form, {"weight": "0,5", "do": "copy"}), "Region 3")
    spec = await draft()
    assert spec.prompt.endswith("AND a blue robot AND a blue robot")
    assert [place[-1] for place in places(spec.regions)] == [0.2, 0.8, 0.5, 0.5]
    assert "overlap" in desk.text
    form = await member.pick(desk, "layoutpick", ["3"])
    desk = await member.shown(await member.fill(form, {"do": "remove"}), lambda card: "Region 3" not in card.text)
    assert (await draft()).prompt.endswith("AND a blue robot")
    form = await member.press(desk, "layout", 3)
    desk = await redrawn(member, await member.fill(form, {"text": "a kite", "place": "40 0 20 20"}), "a kite")
    assert (await draft()).prompt.endswith("AND a blue robot AND a kite")
    desk = await redrawn(member, await member.pick(desk, "layoutshape", ["thirds"]), "33.33 0")
    spec = await draft()
    assert [place[0] for place in places(spec.regions)] == [1, 3, 3, 3]
    assert spec.prompt.endswith("a blue robot AND a kite")
    form = await member.press(desk, "layout", 5)
    desk = await redrawn(member, await member.fill(form, {"end": "7", "apart": True}), "own region alone")
    spec = await draft()
    assert (spec.regions.end_step, spec.regions.loras_apart) == (7, True)
    form = await member.press(desk, "layout", 4)
    whole = {"prompt": "a lake AND a swan AND a boat", "negative": "people"}
    desk = await redrawn(member, await member.fill(form, whole), "a swan")
    spec = await draft()
    assert (spec.prompt, spec.negative_prompt, len(spec.regions.areas)) == (whole["prompt"], "people", 3)
    form = await member.press(desk, "layout", 7)
    desk = await redrawn(member, await member.fill(form, {"syntax": "weights=1,1,1"}), "×1")
    spec = await draft()
    assert places(spec.regions) == [(*place[:-1], 1) for place in LEFT_RIGHT]
    assert (spec.regions.end_step, spec.regions.loras_apart) == (20, True)
    panel = await member.shown(await member.press(desk, "layout", 2))
    assert "Regions: 2, until step 20" in panel.text
    assert not panel.attachments
    desk = await redrawn(member, await member.press(panel, "layout", 1), "Region 2")
    await redrawn(member, await member.press(desk, "layout", 6), "No regions yet")
    spec = await draft()
    assert (spec.prompt, spec.regions) == ("a lake", None)


async def test_words_without_a_place_are_shown_once_more(stage):
    member = await stage.visitor()
    desk = await opened(member, region3="a kite")
    assert "Region 3" in desk.text
    desk = await redrawn(member, await member.pick(desk, "layoutshape", ["left|right"]), "no place for “a kite”")
    assert "Region 3" not in desk.text


async def test_a_plain_request_gets_regions_from_the_panel_and_an_edit_keeps_them(stage):
    member = await stage.visitor()
    panel = await member.shown(
        await member.slash("general", "imagine", {"prompt": "a beach", "count": 1, "advanced": True})
    )
    desk = await redrawn(member, await member.press(panel, "layout", 1), "No regions yet")
    desk = await redrawn(member, await member.pick(desk, "layoutshape", ["left|right"]), "Without words: 1, 2")
    form = await member.press(desk, "layout", 4)
    desk = await redrawn(member, await member.fill(form, {"prompt": "a beach AND a fox AND a robot"}), "a fox")
    card = await member.drawn(await member.press(desk, "draw"))
    assert places(stage.painter.specs[-1].regions) == LEFT_RIGHT
    form = await member.press(card, "edit")
    card = await member.drawn(await member.fill(form, {"prompt": "a lake AND a fox AND a robot"}))
    assert places(stage.painter.specs[-1].regions) == LEFT_RIGHT
    form = await member.press(card, "edit")
    card = await member.drawn(await member.fill(form, {"prompt": "a lake"}))
    assert stage.painter.specs[-1].regions is None
    assert "Regions 2 → " in card.text, card.text


async def test_a_prompt_of_very_many_parts_and_very_long_words(stage):
    member = await stage.visitor()
    many = " AND ".join(f"thing {n}" for n in range(24))
    panel = await member.shown(await member.slash("general", "imagine", {"prompt": many, "count": 1, "advanced": True}))
    desk = await redrawn(member, await member.press(panel, "layout", 1), "and 8 more parts")
    form = await member.press(desk, "layout", 4)
    long = " AND ".join(f"{n} " + "🦊word " * 60 for n in range(8))
    desk = await redrawn(member, await member.fill(form, {"prompt": long}), "Region 7")
    assert len(desk.text) < 4000
    form = await member.pick(desk, "layoutpick", ["1"])
    desk = await redrawn(member, await member.fill(form, {"place": "0 0 50 50"}), "0 0 50 50")
    spec = Txt2Img.model_validate_json(stage.rows("SELECT spec FROM drafts")[-1]["spec"])
    assert spec.prompt == " AND ".join(part.strip() for part in long.split(" AND "))


async def test_a_desk_outlives_a_restart_and_belongs_to_its_owner(stage):
    member, other = await stage.visitor(), await stage.visitor("Moderator")
    desk = await opened(member)
    draft = member.address(desk, "draw").split(":")[2]
    await refused(other, await press(stage, other, "layout", draft, 1), "draft_unknown")
    await stage.restart(kill=True)
    desk = await redrawn(member, await member.pick(desk, "layoutshape", ["top|bottom"]), "0 50 100 50")
    await member.drawn(await member.press(desk, "draw"))
    assert [place[3] for place in places(stage.painter.specs[-1].regions)] == [1, 2, 2]


SAID = (
    ({"layout": "sideways"}, "regions_layout"),
    ({"layout": "1 2 / 2 1"}, "regions_map"),
    ({"layout": "columns 30"}, "regions_many"),
    ({"layout": "columns 1"}, "regions_places"),
    ({"layout": "0 0 50 100; 0 0 x 100"}, "regions_rectangle"),
    ({"layout": "0 0 50 100; 0 0 0 100"}, "regions_empty"),
    ({"layout": "0 0 50 100; 60 0 50 100"}, "regions_outside"),
    ({"weights": "0.2 nan 0.8"}, "regions_weight"),
    ({"weights": "0.2 0.8"}, "regions_weights"),
    ({"region3": "a cat AND a dog"}, "regions_and"),
    ({"latent_couple": "divisions=1"}, "regions_syntax"),
    ({"more": "|".join(f"thing {n}" for n in range(30))}, "regions_many"),
)


async def test_what_cannot_be_laid_out_is_said_and_changes_nothing(stage):
    member = await stage.visitor()
    async with unchanged(stage):
        for options, key in SAID:
            await refused(member, await member.slash("general", "regions", BEACH | options), key)
        many = {"prompt": " AND ".join(f"thing {n}" for n in range(900))[:6000]}
        await refused(member, await member.slash("general", "imagine", many), "prompt_parts")
        await refused(member, await member.slash("general", "regions", many), "regions_many")


@pytest.mark.parametrize(
    ("n", "fields", "key"),
    [
        (3, {"text": "a AND b"}, "regions_and"),
        (3, {"place": "0 0 200 10"}, "regions_outside"),
        (3, {"weight": "heavy"}, "regions_weight"),
        (5, {"end": "151"}, "regions_step"),
        (7, {"syntax": "positions=1:1:1"}, "regions_syntax"),
    ],
)
async def test_forms_of_the_desk(stage, n, fields, key):
    member = await stage.visitor()
    desk = await opened(member)
    async with unchanged(stage):
        form = await member.press(desk, "layout", n)
        await refused(member, await member.fill(form, fields), key)


async def test_a_region_that_is_gone(stage):
    member = await stage.visitor()
    desk = await opened(member)
    draft = member.address(desk, "draw").split(":")[2]
    async with unchanged(stage):
        await refused(member, await press(stage, member, "layoutpick", draft, values=("9",)), "regions_gone")
        await refused(member, await press(stage, member, "layoutshape", draft, values=("zigzag",)), "regions_layout")


async def test_layouts_are_suggested_in_ones_own_language(stage):
    member, admin = await stage.visitor(), await stage.visitor("Admin")
    assert "Left | right" in [each["name"] for each in await member.autocomplete("general", "regions", "layout")]
    found = await admin.autocomplete("general", "regions", "layout", {"layout": "izq"})
    assert ("Izquierda | derecha", "left|right") in [(each["name"], each["value"]) for each in found]
