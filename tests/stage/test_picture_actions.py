"""Everything that the card of a finished picture offers, pressed."""

import io

import pytest
from PIL import Image

from tests.stage.visitor import finished, verbs

SMALL = {"width": 512, "height": 512, "steps": 4}


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.fixture
async def member(stage):
    return await stage.visitor()


@pytest.fixture
async def single(member):
    """A card of one picture."""
    return await member.imagine(prompt="a red apple", seed=7, count=1, negative="blurry", **SMALL)


async def begun(stage, member, answer):
    """The finished card of a pressed button, and what the worker was asked."""
    card = await member.drawn(answer)
    return card, stage.painter.specs[-1]


async def test_a_grid_has_a_row_for_u_one_for_v_and_one_for_the_rest(member):
    card = await member.imagine(count=4, **SMALL)
    rows = [[item["custom_id"].split(":")[1] for item in row["components"]]
            for row in card.components() if row["type"] == 1]  # fmt: skip
    assert rows == [["upscale"] * 4, ["vary"] * 4, ["reroll", "edit", "delete", "more"]]
    (gallery,) = [item for item in card.components() if item["type"] == 12]
    assert gallery["items"][1]["description"] == "Picture 2 of 4: a red apple"


async def test_one_picture_has_all_its_actions(single):
    rows = [[item["custom_id"].split(":")[1] for item in row["components"]]
            for row in single.components() if row["type"] == 1]  # fmt: skip
    assert rows == [
        ["upscalesubtle", "upscale", "vary", "vary"],
        ["region", "zoom", "zoom", "favourite"],
        ["pan"] * 4,
        ["reroll", "edit", "delete", "more"],
    ]


@pytest.mark.parametrize(("percent", "margin"), [(150, 88), (200, 128)])
async def test_zooming_out_keeps_the_size_and_draws_around(stage, member, single, percent, margin):
    card, spec = await begun(stage, member, await member.press(single, "zoom", percent))
    assert (spec.kind, spec.width, spec.height, spec.count) == ("img2img", 512, 512, 4)
    assert {*spec.extend.model_dump().values()} == {margin}
    assert (spec.prompt, spec.negative_prompt, spec.steps) == ("a red apple", "blurry", 4)
    assert spec.seed != 7
    # It starts from the very picture.
    assert stage.painter.input(spec.image) == await member.download(single.media[0])
    assert "Zoom out" in card.text
    assert len(card.media) == 4


@pytest.mark.parametrize(("n", "side"), [(1, "left"), (2, "top"), (3, "bottom"), (4, "right")])
async def test_panning_makes_one_side_longer(stage, member, single, n, side):
    _, spec = await begun(stage, member, await member.press(single, "pan", n))
    sides = spec.extend.model_dump()
    assert sides.pop(side) == 256
    assert set(sides.values()) == {0}
    assert {spec.width, spec.height} == {512, 768}


async def test_a_long_picture_is_made_square_and_not_twice(stage, member, single):
    wide = await member.drawn(await member.press(single, "pan", 4))
    panel = await member.shown(await member.press(wide, "more"))
    assert panel.ephemeral
    card, spec = await begun(stage, member, await member.press(panel, "square"))
    assert (spec.width, spec.height) == (768, 768)
    assert (spec.extend.top, spec.extend.bottom, spec.extend.left) == (128, 128, 0)
    squared = await member.shown(await member.press(card, "more"))
    assert "square" not in verbs(squared)


async def test_panning_on_and_on_ends_with_a_sentence(member, single):
    card = single
    for _ in range(8):
        answer = await member.press(card, "pan", 4) if card is single else await pan_first(member, card)
        message = await member.shown(answer, lambda m: m.ephemeral or finished(m))
        if message.ephemeral:
            assert "4:1" in message.text
            return
        card = message
    raise AssertionError("it went on for ever")


async def pan_first(member, card):
    """By the panel, because four pictures came."""
    panel = await member.shown(await member.press(card, "more"))
    return await member.press(panel, "pan", 4)


async def test_a_custom_zoom_takes_any_number_a_shape_and_other_words(stage, member, single):
    panel = await member.shown(await member.press(single, "more"))
    form = await member.press(panel, "zoomcustom")
    sent = await member.fill(form, {"factor": "1,25x", "shape": "16:9", "prompt": "a red apple on a long table"})
    _, spec = await begun(stage, member, sent)
    assert spec.prompt == "a red apple on a long table"
    assert spec.width / spec.height == pytest.approx(16 / 9, rel=0.05)
    assert abs(spec.width * spec.height - 512 * 512) < 20_000
    assert spec.extend.left > spec.extend.top > 0


@pytest.mark.parametrize(
    ("factor", "shape", "sentence"),
    [("far", "same", "is no number"), ("9", "same", "1 to 4 times"), ("1", "same", "would change nothing")],
)
async def test_a_custom_zoom_that_cannot_be_says_why(member, single, factor, shape, sentence):
    form = await member.press(await member.shown(await member.press(single, "more")), "zoomcustom")
    assert sentence in await member.told(await member.fill(form, {"factor": factor, "shape": shape}))


async def test_subtle_is_the_upscaler_alone_and_its_card_goes_on_as_the_picture(stage, member, single):
    card, spec = await begun(stage, member, await member.press(single, "upscalesubtle"))
    assert (spec.kind, spec.scale, spec.upscaler) == ("upscale", 2.0, "4x-sharp")
    assert opened(await member.download(card.media[0])).size == (1024, 1024)
    assert "a red apple" in card.text
    assert "with 4x-sharp" in card.text
    # What is made of it goes back to what it was drawn from.
    varied, spec = await begun(stage, member, await member.press(card, "vary", 2))
    assert (spec.kind, spec.seed, spec.width) == ("txt2img", 7, 512)
    _, spec = await begun(stage, member, await member.press(card, "upscale"))
    assert (spec.width, spec.hires.scale, spec.hires.source.type) == (1024, 2.0, "stored")
    _, spec = await begun(stage, member, await member.press(card, "zoom", 200))
    assert (spec.width, spec.height) == (512, 512)
    assert len(varied.media) == 4
    form = await member.press(card, "edit")
    assert form.modal["components"][0]["component"]["value"] == "a red apple"


async def test_subtle_without_an_upscaler_model_says_so(make_stage):
    stage = await make_stage()
    member = await stage.visitor()
    stage.painter.facts = tuple(fact for fact in stage.painter.facts if fact.kind != "upscaler")
    await stage.painter.announce()
    card = await member.imagine(count=1, **SMALL)
    await member.drawn(await member.press(card, "upscalesubtle"))
    assert stage.painter.specs[-1].upscaler == "Lanczos"
    assert await member.wait_for_message("general", lambda m: m.ephemeral and "No upscaler model" in m.text)


async def test_creative_goes_on_in_tiles_where_it_gets_too_large(stage, member, single):
    card = single
    for width in (1024, 2048, 4096):
        card, spec = await begun(stage, member, await member.press(card, "upscale"))
        assert opened(await member.download(card.media[0])).width == width
        assert spec.hires.tile_px == (512 if width > 2048 else 0)
    assert "cannot be enlarged any further" in await member.told(await member.press(card, "upscale"))


async def test_sizes_have_their_limit(member, single):
    card = single
    for _ in range(5):
        answer = await member.press(card, "upscalesubtle")
        card = await member.shown(answer, lambda m: m.ephemeral or finished(m))
        if card.ephemeral:
            assert "too large" in card.text.lower() or "×" in card.text
            return
    raise AssertionError("it grew for ever")


async def test_a_region_of_squares(stage, member, single):
    panel = await member.shown(await member.press(single, "region"), lambda m: m.media)
    assert panel.ephemeral
    assert opened(await member.download(panel.media[0])).size == (512, 512)
    form = await member.pick(panel, "regioncells", ["6", "7"])
    fields = {part["component"]["custom_id"]: part["component"] for part in form.modal["components"]}
    assert fields["prompt"]["value"] == "a red apple"
    assert [o["value"] for o in fields["cells"]["options"] if o.get("default")] == ["6", "7"]
    card, spec = await begun(stage, member, await member.fill(form, {"prompt": "a pear", "amount": "replace"}))
    assert (spec.prompt, spec.mask.only_masked, spec.denoising_strength) == ("a pear", False, 0.95)
    mask = opened(stage.painter.input(spec.mask.image))
    assert mask.size == (512, 512)
    assert mask.getbbox() == (128, 128, 384, 256)
    assert "Vary region" in card.text
    # Unlike the first words, the picture it came from is named, with the way there.
    assert f"/{single.channel_id}/{single.id})" in card.text


async def test_a_region_by_parts_and_without_any(stage, member, single):
    panel = await member.shown(await member.press(single, "region"), lambda m: m.media)
    form = await member.press(panel, "regioncells", 1)
    assert "at least one square" in await member.told(await member.fill(form))
    form = await member.press(panel, "regioncells", 1)
    assert "whole picture" in await member.told(await member.fill(form, {"cells": ["top", "bottom"]}))
    form = await member.press(panel, "regioncells", 1)
    _, spec = await begun(stage, member, await member.fill(form, {"cells": ["left"]}))
    assert opened(stage.painter.input(spec.mask.image)).getbbox() == (0, 0, 256, 512)


async def test_a_region_by_its_name_goes_before_squares(stage, member, single):
    panel = await member.shown(await member.press(single, "region"), lambda m: m.media)
    form = await member.pick(panel, "regioncells", ["1"])
    sent = await member.fill(form, {"name": "  the   apple ", "prompt": "a pear", "amount": "replace"})
    card, spec = await begun(stage, member, sent)
    assert (spec.mask.prompt, spec.prompt) == ("the apple", "a pear")
    assert stage.painter.input(spec.mask.image) == await member.download(single.media[0])
    assert "Vary region" in card.text
    # What a name would bring together with the words is refused as if it stood in them.
    form = await member.press(panel, "regioncells", 1)
    refused = await member.fill(form, {"name": "a child", "prompt": "nude"})
    assert await member.wait_for_message("general", lambda m: m.ephemeral and "not" in m.text and m.id != panel.id)
    assert refused.kind in ("deferred", "message")
    assert len(stage.painter.specs) == 2


def painted(size, box, colour=255):
    picture = Image.new("L", size, 0)
    picture.paste(colour, box)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


async def test_a_region_by_an_uploaded_mask_of_another_size(stage, member, single):
    panel = await member.shown(await member.press(single, "region"), lambda m: m.media)
    form = await member.press(panel, "regioncells", 1)
    upload = {"mask": ("mask.png", painted((256, 256), (10, 10, 60, 60)))}
    _, spec = await begun(stage, member, await member.fill(form, {}, upload))
    assert opened(stage.painter.input(spec.mask.image)).getbbox() == (20, 20, 120, 120)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (painted((256, 128), (0, 0, 9, 9)), "same shape"),
        (painted((64, 64), (0, 0, 0, 0)), "white"),
        (painted((64, 64), (0, 0, 64, 64)), "whole picture"),
        (b"no picture", "I cannot read"),
    ],
    ids=["shape", "black", "white", "foreign"],
)
async def test_masks_that_cannot_be_used_say_why(member, single, data, sentence):
    panel = await member.shown(await member.press(single, "region"), lambda m: m.media)
    answer = await member.fill(await member.press(panel, "regioncells", 1), {}, {"mask": ("mask.png", data)})
    told = await member.wait_for_message("general", lambda m: m.ephemeral and sentence in m.text)
    assert told.id != panel.id
    # The public answer that waited for it is gone.
    await member.gone(answer.message_id)


async def test_a_region_of_a_large_picture_keeps_its_size(stage, member, single):
    large = await member.drawn(await member.press(single, "upscalesubtle"))
    panel = await member.shown(await member.press(large, "region"), lambda m: m.media)
    form = await member.pick(panel, "regioncells", ["1"])
    _, spec = await begun(stage, member, await member.fill(form))
    assert spec.mask.only_masked
    assert (spec.width, spec.height) == (512, 512)
    assert opened(stage.painter.input(spec.image)).size == (1024, 1024)


async def test_more_shows_each_picture_of_a_grid_and_how_it_was_made(stage, member):
    card = await member.imagine(seed=7, count=3, **SMALL)
    panel = await member.shown(await member.press(card, "more"))
    assert panel.ephemeral
    assert "Seed: 7" in panel.text
    await member.pick(panel, "morepicture", ["2"])
    panel = await member.shown(panel.id, lambda m: "Picture 3 of 3" in m.text)
    assert "Seed: 9" in panel.text
    assert {"tweak", "style", "region", "vary", "square"} - {*verbs(panel)} == {"square"}
    await begun(stage, member, await member.press(panel, "vary", 2))
    assert stage.painter.specs[-1].seed == 9


async def test_a_star_is_ones_own_and_goes_again(stage, member, single):
    other = await stage.visitor("Ann")
    assert "Kept" in await member.told(await member.press(single, "favourite"))
    assert "Kept" in await other.told(await other.press(single, "favourite"))
    panel = await member.shown(await member.press(single, "more"))
    assert "Kept" in panel.labels
    assert "Not kept" in await member.told(await member.press(panel, "favourite"))
    assert "Keep" in (await member.shown(await member.press(single, "more"))).labels
    assert [str(row["user_id"]) for row in stage.rows("SELECT user_id FROM favourites")] == [other.user_id]


async def test_buttons_work_after_a_kill_and_for_anybody(stage, member, single):
    ann = await stage.visitor("Ann")
    await stage.restart(kill=True)
    card = await ann.drawn(await ann.press(single, "zoom", 200))
    assert str(ann.job(card)["user_id"]) == ann.user_id
    assert f"Zoom out of a picture by <@{member.user_id}>" in card.text


async def test_two_press_at_once_and_each_gets_theirs(stage, member, single):
    import asyncio

    ann = await stage.visitor("Ann")
    answers = await asyncio.gather(
        member.press(single, "pan", 1), ann.press(single, "pan", 1), member.press(single, "pan", 1)
    )
    cards = [await member.drawn(answer) for answer in answers]
    assert len({card.id for card in cards}) == 3


async def test_a_deleted_picture_says_what_to_do(stage, member, single):
    panel = await member.shown(await member.press(single, "region"), lambda m: m.media)
    more = await member.shown(await member.press(single, "more"))
    await member.press(single, "delete")
    await member.gone(single)
    assert "deleted" in await member.told(await member.press(more, "zoom", 150))
    assert "deleted" in await member.told(await member.pick(panel, "regioncells", ["1"]))
    assert "deleted" in await member.told(await member.press(more, "favourite"))


async def test_a_picture_whose_file_is_gone_can_still_be_drawn_anew(stage, member, single):
    (row,) = member.images(single)
    (stage.settings.outputs_dir / row["path"]).unlink()
    panel = await member.shown(await member.press(single, "more"))
    assert [verb for verb in verbs(panel) if verb in ("upscale", "vary", "zoom", "region")] == [
        "upscale",
        "vary",
        "vary",
    ]
    assert "not kept any more" in panel.text
    assert "deleted" in await member.told(await member.press(single, "zoom", 150))
    assert "Kept" in await member.told(await member.press(single, "favourite"))
    card, spec = await begun(stage, member, await member.press(panel, "upscale"))
    assert spec.hires.source.type == "rendered"
    assert card.media


async def test_lineage_leads_to_the_parent_and_not_where_that_is_gone(stage, member, single):
    again = await member.drawn(await member.press(single, "reroll"))
    link = f"https://discord.com/channels/{stage.guild_id}/{single.channel_id}/{single.id}"
    assert f"from [this picture]({link})" in again.text
    panel = await member.shown(await member.press(again, "more"))
    await member.press(single, "delete")
    await member.gone(single)
    later = await member.drawn(await member.press(again, "reroll"))
    assert f"/{again.id})" in later.text
    assert panel.ephemeral


async def test_what_is_made_of_a_private_picture_by_the_panel_is_private(stage, member, single):
    behind = await member.shown(await member.press(single, "more"))
    panel = await member.shown(await member.press(behind, "tweak"))
    own = await member.shown(await member.press(panel, "draw", 1), finished)
    assert own.ephemeral
    more = await member.shown(await member.press(own, "more"))
    for verb, n in (("zoom", 200), ("vary", 1), ("upscale", None), ("upscalesubtle", None)):
        made = await member.shown(await member.press(more, verb, n), finished)
        assert made.ephemeral, verb
    form = await member.press(
        await member.shown(await member.press(own, "region"), lambda m: m.media), "regioncells", 1
    )
    made = await member.shown(await member.fill(form, {"cells": ["left"]}), finished)
    assert made.ephemeral
    # Nobody is led to what they cannot see.
    assert "from [this picture]" not in made.text


async def test_the_panel_keeps_within_limits_whatever_the_prompt(stage, member):
    prompt = ", ".join(f"`word{number}` @everyone" for number in range(250))
    card = await member.imagine(prompt=prompt, count=4, **SMALL)
    panel = await member.shown(await member.press(card, "more"))
    parts = [*panel.components()]
    assert len(parts) <= 40
    assert sum(len(part["content"]) for part in parts if part["type"] == 10) <= 4000
    assert "@everyone" not in panel.text
    assert all(len(row["components"]) <= 4 for row in parts if row["type"] == 1)


@pytest.mark.parametrize(("method", "status", "code"), [("PATCH", 503, 0), ("PATCH", 404, 10015), ("POST", 403, 50013)])
async def test_discord_in_trouble_leaves_nobody_without_the_picture(stage, member, single, method, status, code):
    stage.fault(method, r"^/webhooks/" if method == "PATCH" else r"^/interactions/", status, code=code)
    await member.press(single, "zoom", 150)
    card = await member.wait_for_message("general", lambda m: "Zoom out" in m.text and finished(m), 30)
    assert len(card.media) == 4
    assert len([spec for spec in stage.painter.specs if spec.kind == "img2img"]) == 1


async def test_words_of_a_form_may_be_dynamic(stage, member):
    card = await member.imagine(prompt="a {red|red} apple", count=1, **SMALL)
    form = await member.press(await member.shown(await member.press(card, "more")), "zoomcustom")
    fields = {part["component"]["custom_id"]: part["component"] for part in form.modal["components"]}
    assert fields["prompt"]["value"] == "a red apple"
    _, spec = await begun(stage, member, await member.fill(form, {"prompt": "a red apple, {one|two} pears"}))
    assert {each.prompt for each in spec.texts} <= {"a red apple, one pears", "a red apple, two pears"}
    assert spec.texts


@pytest.mark.slow
async def test_every_button_of_card_and_panel_is_answered_and_none_is_unknown(stage, member):
    wide = await member.imagine(count=1, width=768, height=512, steps=4)
    panel = await member.shown(await member.press(wide, "more"))
    pressed = set()
    for message in (wide, panel):
        for part in [*message.components()]:
            custom_id = str(part.get("custom_id") or "")
            if not custom_id or custom_id.split(":")[1] in ("delete", "more") or custom_id in pressed:
                continue
            pressed.add(custom_id)
            answer = await member.click(message, custom_id)
            assert answer.kind in ("message", "deferred", "modal", "update"), (custom_id, answer)
            if answer.kind in ("message", "deferred"):
                shown = await member.shown(answer, lambda m: not m.loading)
                assert "⚠️" not in shown.text, (custom_id, shown.text)
                assert "button" not in shown.text.lower(), (custom_id, shown.text)
    await stage.told(30)
    verbs_seen = {custom_id.split(":")[1] for custom_id in pressed}
    assert verbs_seen >= {
        "upscalesubtle", "upscale", "vary", "region", "zoom", "favourite", "pan", "reroll", "edit", "zoomcustom",
        "square", "enlarge", "tweak", "style", "original",
    }  # fmt: skip
