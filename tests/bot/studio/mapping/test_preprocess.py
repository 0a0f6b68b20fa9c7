"""/preprocess, the lists behind a picture's button, the form of a map's numbers, and the maps of a drawing."""

import io
import json
import struct
import zlib

import pytest
from PIL import Image

from gpu_worker.protocol.messages import ModelFact
from tests.stage.matrix_scenes import changed
from tests.stage.painter import FACTS
from tests.stage.pictures_given import picture
from tests.stage.refusing import offered, press, refused, unchanged
from tests.stage.visitor import verbs


def headed(width, height):
    """A PNG that says it is so large and holds next to nothing."""
    data = bytearray(picture(size=(1, 1)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def eight_k():
    out = io.BytesIO()
    Image.new("1", (7680, 4320)).save(out, "PNG")
    return out.getvalue()


async def preprocess(member, preprocessor="canny", data=None, **options):
    options["preprocessor"] = preprocessor
    return await member.slash("general", "preprocess", options, attachments={"image": ("a.png", data or picture())})


async def with_annotators(stage, *names):
    stage.painter.facts = (*FACTS, *(ModelFact(kind="annotator", name=name) for name in names))
    await stage.painter.announce()


async def test_a_map_with_its_numbers(stage):
    member = await stage.visitor()
    card = await member.drawn(await preprocess(member, resolution=640, threshold_a=50))
    (spec,) = stage.painter.specs
    assert (spec.kind, spec.preprocessor, spec.processor_resolution) == ("preprocess", "canny", 640)
    assert (spec.threshold_a, spec.threshold_b, spec.fit, spec.seed) == (50, 200, False, 0)
    assert stage.painter.input(spec.image)
    assert "Control map: canny" in card.text
    assert "resolution 640 · Canny Low Threshold 50 · Canny High Threshold 200" in card.text
    assert {"mapadjust", "enlarge", "delete"} <= set(verbs(card))
    (image,) = member.images(card)
    assert image["infotext"].startswith("Module: canny, Processor Res: 640")


async def test_old_names(stage):
    await with_annotators(stage, "ControlNetHED")
    member = await stage.visitor()
    await member.drawn(await preprocess(member, "fake_scribble"))
    assert stage.painter.specs[-1].preprocessor == "scribble_hed"


async def test_for_a_drawing_of_a_size_it_is_pixel_perfect_and_of_that_size(stage):
    member = await stage.visitor()
    card = await member.drawn(await preprocess(member, width=512, height=768, resize_mode="Resize and Fill"))
    spec = stage.painter.specs[-1]
    assert (spec.pixel_perfect, spec.fit, spec.width, spec.height) == (True, True, 512, 768)
    assert spec.resize_mode == "Resize and Fill"
    assert (member.images(card)[0]["width"], member.images(card)[0]["height"]) == (512, 768)
    assert "pixel perfect" in card.text
    await member.drawn(await preprocess(member, width=192, resolution=128))
    spec = stage.painter.specs[-1]
    assert (spec.pixel_perfect, spec.processor_resolution, spec.width, spec.height) == (False, 128, 192, 128)
    await member.drawn(await preprocess(member, pixel_perfect=True))
    spec = stage.painter.specs[-1]
    assert (spec.pixel_perfect, spec.fit, spec.width, spec.height) == (True, False, 96, 64)


async def test_shuffle_goes_by_a_seed_that_is_drawn_once(stage):
    member = await stage.visitor()
    card = await member.drawn(await preprocess(member, "shuffle"))
    first = stage.painter.specs[-1].seed
    assert first > 0
    await member.drawn(await preprocess(member, "shuffle", seed=7))
    assert stage.painter.specs[-1].seed == 7
    assert int(member.images(card)[0]["seed"]) == first


@pytest.mark.parametrize(
    ("key", "preprocessor", "options"),
    [
        ("preprocessor_unknown", "cany", {}),
        ("preprocessor_number", "canny", {"threshold_a": 300}),
        ("preprocessor_no_number", "scribble_xdog", {"threshold_b": 3}),
        ("preprocessor_no_numbers", "invert", {"threshold_a": 3}),
        ("preprocessor_no_resolution", "invert", {"resolution": 512}),
        ("preprocessor_no_seed", "canny", {"seed": 4}),
        ("map_perfect_or_resolution", "canny", {"resolution": 512, "pixel_perfect": True}),
        ("preprocessor_missing", "depth_midas", {}),
        ("preprocessor_missing_file", "depth_zoe", {}),
    ],
)
async def test_what_is_refused(stage, key, preprocessor, options):
    member = await stage.visitor()
    async with unchanged(stage):
        said = await refused(member, await preprocess(member, preprocessor, **options), key)
    assert key != "preprocessor_number" or "Canny Low Threshold" in said
    assert key != "preprocessor_missing" or "models install annotator-midas" in said


async def test_a_picture_is_needed(stage):
    member = await stage.visitor()
    async with unchanged(stage):
        await refused(member, await member.slash("general", "preprocess", {"preprocessor": "canny"}), "picture_needed")


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("picture_unreadable", b"no picture"),
        ("picture_unreadable", picture()[:60]),
        ("picture_pixels", eight_k()),
        ("picture_unreadable", headed(60_000, 60_000)),
    ],
    ids=["text", "cut off", "8K", "bomb"],
)
async def test_pictures_that_cannot_be_used(stage, key, data):
    member = await stage.visitor()
    async with unchanged(stage):
        await refused(member, await preprocess(member, data=data), key)


async def test_the_list_says_what_is_missing_and_finds_old_names(stage):
    await with_annotators(stage, "ControlNetHED")
    member = await stage.visitor()
    rows = await member.autocomplete("general", "preprocess", "preprocessor", {"preprocessor": "fake_scr"})
    assert rows[0]["value"] == "scribble_hed"
    assert "not installed" not in rows[0]["name"]
    rows = await member.autocomplete("general", "preprocess", "preprocessor", {"preprocessor": "depth"})
    assert "not installed" in {row["value"]: row["name"] for row in rows}["depth_midas"]


async def test_numbers_are_called_what_this_preprocessor_calls_them(stage):
    member = await stage.visitor()
    rows = await member.autocomplete(
        "general", "preprocess", "threshold_a", {"preprocessor": "mlsd", "threshold_a": ""}
    )
    assert rows[0] == {"name": "MLSD Value Threshold: 0.1 (0.01 to 2)", "value": 0.1} | rows[0]
    rows = await member.autocomplete(
        "general", "preprocess", "threshold_b", {"preprocessor": "invert", "threshold_b": ""}
    )
    assert rows == []


async def test_from_a_drawn_picture(stage):
    member, ann = await stage.visitor(), await stage.visitor("Ann")
    card = await member.imagine(prompt="a red apple", count=1, width=256, height=128)
    more = await ann.shown(await ann.press(card, "more"))
    lists = await ann.shown(await ann.press(more, "map"))
    assert lists.ephemeral
    mapped = await ann.drawn(await ann.pick(lists, "mapmake", ["canny"], 0))
    spec = stage.painter.specs[-1]
    assert (spec.pixel_perfect, spec.fit, spec.width, spec.height) == (True, False, 256, 128)
    job = ann.job(mapped)
    assert str(job["user_id"]) == ann.user_id
    assert job["source_image_id"] == member.images(card)[0]["id"]
    assert f"<@{member.user_id}>" in mapped.text


async def test_from_anybodys_picture_through_its_info(stage):
    member = await stage.visitor()
    message = await member.message("general", await member.say("general", "", {"files[0]": ("x.png", picture())}))
    info = await member.shown(await member.context_menu(message, "Picture info"))
    await stage.restart(kill=True)
    lists = await member.shown(await member.press(info, "findmap"))
    await member.drawn(await member.pick(lists, "mapmake", ["threshold"], 2))
    assert stage.painter.specs[-1].preprocessor == "threshold"


async def test_adjusted_by_the_names_of_its_sliders(stage):
    member = await stage.visitor()
    card = await member.drawn(await preprocess(member, width=128, height=128))
    form = await member.press(card, "mapadjust")
    again = await member.drawn(await member.fill(form, {"a": "20", "b": "60,5"}))
    spec = stage.painter.specs[-1]
    assert (spec.threshold_a, spec.threshold_b, spec.pixel_perfect) == (20, 60.5, True)
    assert (spec.fit, spec.width, spec.height) == (True, 128, 128)
    form = await member.press(again, "mapadjust")
    await member.drawn(await member.fill(form, {"preprocessor": "scribble_xdog", "resolution": "256"}))
    spec = stage.painter.specs[-1]
    assert (spec.preprocessor, spec.processor_resolution, spec.threshold_a) == ("scribble_xdog", 256, 32)
    form = await member.press(again, "mapadjust")
    async with unchanged(stage):
        await refused(member, await member.fill(form, {"a": "many"}), "parameter_not_number")
    for typed in ("32", "9999"):
        form = await member.press(again, "mapadjust")
        async with unchanged(stage):
            await refused(member, await member.fill(form, {"resolution": typed}), "preprocessor_resolution")


async def test_the_maps_of_a_drawing(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple", count=1, seed=9, width=256, height=128)
    job, image = member.job(card)["id"], member.images(card)[0]
    ref = {"ref": f"image:{image['id']}", "sha256": image["sha256"], "mime": image["mime"], "size_bytes": 1}
    units = [
        {"model": "any", "image": ref, "preprocessor": "canny", "threshold_a": 30, "pixel_perfect": True},
        {"model": "any", "image": ref, "preprocessor": "shuffle"},
    ]
    await lead(stage, job, units)
    offer = await offered(stage, member, "maps", job)
    maps = await member.drawn(await member.press(offer, "maps"))
    spec = stage.painter.specs[-1]
    assert [each.preprocessor for each in spec.maps] == ["canny", "shuffle"]
    assert all((each.fit, each.width, each.height, each.seed) == (True, 256, 128, 9) for each in spec.maps)
    assert (spec.threshold_a, spec.pixel_perfect) == (30, True)
    assert len(member.images(maps)) == 2
    assert "Control maps: canny, shuffle" in maps.text
    assert "mapadjust" not in verbs(maps)
    await refused(member, await press(stage, member, "mapadjust", member.job(maps)["id"]), "map_unknown")


async def test_a_drawing_that_nothing_led_has_no_maps(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple", count=1)
    job = member.job(card)["id"]
    async with unchanged(stage):
        await refused(member, await press(stage, member, "maps", job), "no_maps")


async def test_a_private_pictures_map_is_private(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple --private", count=1)
    more = await member.shown(await member.press(card, "more"))
    lists = await member.shown(await member.press(more, "map"))
    mapped = await member.drawn(await member.pick(lists, "mapmake", ["canny"], 0))
    assert mapped.ephemeral
    assert member.job(mapped)["private"]


async def lead(stage, job, units):
    await changed(
        stage, "UPDATE jobs SET spec = json_set(spec, '$.control', json(?)) WHERE id = ?", json.dumps(units), job
    )
