"""Detail fix from Discord: the flag, the command, the button of a finished picture, and the desk behind the panel."""

import asyncio
import json

import pytest

from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import DetailFix
from tests.stage.painter import FACTS
from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.refusing import press, refused, unchanged

BUILT_IN = ModelFact(kind="face", name="detection_Resnet50_Final")
DETECTORS = (
    ModelFact(kind="detector", name="face_yolov8n"),
    ModelFact(kind="detector", name="hand_yolov8n"),
    ModelFact(kind="detector", name="broken_eyes", problem="corrupt"),
    BUILT_IN,
)


@pytest.fixture
async def fixing(make_stage):
    stage = await make_stage()
    await facts(stage, *DETECTORS)
    return stage


async def facts(stage, *more):
    stage.painter.facts = (*(fact for fact in FACTS if fact.kind != "detector"), *more)
    await stage.painter.announce()


def models(spec):
    return [unit.model for unit in spec.details]


# --- the flag ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "found"),
    [
        ("--fix", ["face_yolov8n"]),
        ("--fix hand", ["hand_yolov8n"]),
        ("--fix faces, hands", ["face_yolov8n", "hand_yolov8n"]),
        ("--fix RetinaFace", ["retinaface"]),
        ("--fix off", []),
    ],
)
async def test_a_flag_asks_for_it(fixing, flag, found):
    member = await fixing.visitor()
    card = await member.imagine(prompt=f"a crowd {flag}", count=1)
    spec = fixing.painter.specs[-1]
    assert models(spec) == found
    assert spec.prompt == "a crowd"
    assert ("details: " in card.text) == bool(found)


async def test_what_is_not_there_is_told_with_the_command_that_installs_it(fixing):
    member = await fixing.visitor()
    await facts(fixing, BUILT_IN)
    async with unchanged(fixing):
        answer = await member.slash("general", "imagine", {"prompt": "a crowd --fix hand"})
        await refused(member, answer, "detector_none")
        assert "models install detector-hand" in await member.told(answer)
        await refused(
            member, await member.slash("general", "imagine", {"prompt": "a --fix face_yolo"}), "detector_unknown"
        )
    await member.imagine(prompt="a crowd --fix face", count=1)
    assert models(fixing.painter.specs[-1]) == ["retinaface"]
    await facts(fixing)
    async with unchanged(fixing):
        await refused(member, await member.slash("general", "imagine", {"prompt": "a --fix"}), "detector_none")


async def test_names_that_cannot_be_used_are_refused(fixing):
    member = await fixing.visitor()
    async with unchanged(fixing):
        for flag, key in (("broken_eyes", "detector_unusable"), ("face, hand, retinaface, face, hand", "details_many")):
            await refused(member, await member.slash("general", "imagine", {"prompt": f"a --fix {flag}"}), key)


async def test_an_edit_keeps_it_and_a_flag_takes_it_away(fixing):
    member = await fixing.visitor()
    card = await member.imagine(prompt="a crowd --fix", count=1, seed=4)
    form = await member.press(card, "edit")
    edited = await member.drawn(await member.fill(form, {"prompt": "a choir"}))
    assert models(fixing.painter.specs[-1]) == ["face_yolov8n"]
    form = await member.press(edited, "edit")
    await member.drawn(await member.fill(form, {"prompt": "a choir --fix off"}))
    assert models(fixing.painter.specs[-1]) == []


async def test_what_a_wish_cannot_say_is_kept_by_all_that_goes_on_from_a_picture(fixing):
    member = await fixing.visitor()
    card = await member.imagine(prompt="a crowd --fix", count=1, seed=4)
    own = DetailFix(model="face_yolov8n", prompt="an old man", denoising_strength=0.6)
    sql = "UPDATE jobs SET spec = json_set(spec, '$.details', json(?)) WHERE id = ?"
    await asyncio.to_thread(fixing.execute, sql, json.dumps([own.model_dump()]), member.job(card)["id"])
    form = await member.press(card, "edit")
    await member.drawn(await member.fill(form, {"prompt": "a choir"}))
    assert fixing.painter.specs[-1].details == (own,)
    for verb, n in (("upscale", None), ("vary", 1), ("reroll", None)):
        await member.drawn(await member.press(card, verb, n))
        assert fixing.painter.specs[-1].details == (own,), verb
    await member.drawn(await member.slash("general", "repeat", {}))
    assert fixing.painter.specs[-1].details == (own,)


# --- finished pictures ------------------------------------------------------------------------------------------------


async def test_a_picture_of_ours_is_fixed_in_its_own_words(fixing):
    member = await fixing.visitor()
    card = await member.imagine(prompt="a crowd", count=2, seed=40)
    image = member.images(card)[1]
    answer = await member.slash(
        "general", "detail-fix", {"picture": image["id"], "what": "hand", "denoise": 0.5, "prompt": "a fine hand"}
    )
    fixed = await member.drawn(answer)
    spec = fixing.painter.specs[-1]
    assert spec.details_only
    assert (spec.prompt, spec.seed, spec.count) == ("a crowd", 41, 1)
    (unit,) = spec.details
    assert (unit.model, unit.prompt, unit.denoising_strength) == ("hand_yolov8n", "a fine hand", 0.5)
    assert (unit.width, unit.height) == (512, 512)
    assert spec.image.sha256 == image["sha256"]
    assert "Details fixed" in fixed.text
    assert member.job(fixed)["source_image_id"] == image["id"]


async def test_somebodys_own_picture_goes_by_what_it_says_of_itself(fixing):
    member = await fixing.visitor()
    files = {"image": ("a.png", picture(INFOTEXT, (96, 64)))}
    await member.drawn(await member.slash("general", "detail-fix", {"size": "256", "most": 3}, attachments=files))
    spec = fixing.painter.specs[-1]
    assert spec.details_only
    assert spec.prompt in INFOTEXT
    assert (spec.width, spec.height) == (96, 64)
    assert (spec.details[0].width, spec.details[0].most) == (256, 3)
    files = {"image": ("b.png", picture(size=(100, 70)))}
    await member.drawn(await member.slash("general", "detail-fix", {"prompt": "a face"}, attachments=files))
    assert (fixing.painter.specs[-1].width, fixing.painter.specs[-1].height) == (96, 64)


async def test_the_button_opens_a_form(fixing):
    member = await fixing.visitor()
    card = await member.imagine(prompt="a crowd", count=1)
    more = await member.shown(await member.press(card, "more"))
    form = await member.press(more, "fix")
    await member.drawn(await member.fill(form, {"what": "face, hand", "denoise": "0,3", "prompt": ""}))
    spec = fixing.painter.specs[-1]
    assert models(spec) == ["face_yolov8n", "hand_yolov8n"]
    assert {unit.denoising_strength for unit in spec.details} == {0.3}
    async with unchanged(fixing):
        form = await member.press(more, "fix")
        await refused(member, await member.fill(form, {"what": "face, hand", "denoise": "much"}), "detail_number")
    await facts(fixing)
    async with unchanged(fixing):
        await refused(member, await member.press(more, "fix"), "detector_none")


async def test_a_fixed_picture_stays_one_when_it_is_edited(fixing):
    member = await fixing.visitor()
    card = await member.imagine(prompt="a crowd", count=1)
    fixed = await member.drawn(
        await member.slash("general", "detail-fix", {"picture": member.images(card)[0]["id"], "prompt": "smiling"})
    )
    form = await member.press(fixed, "edit")
    await member.drawn(await member.fill(form, {"prompt": "a choir"}))
    spec = fixing.painter.specs[-1]
    assert spec.details_only
    assert spec.details[0].prompt == "smiling"
    assert spec.prompt == "a choir"


async def test_what_the_command_refuses(fixing):
    member = await fixing.visitor()
    files = {"image": ("a.png", picture())}
    async with unchanged(fixing):
        for options, key in (
            ({"what": "off"}, "details_nothing"),
            ({"size": "wide"}, "detail_size"),
            ({"what": "eyes"}, "detector_unknown"),
        ):
            await refused(member, await member.slash("general", "detail-fix", options, attachments=files), key)
        await refused(member, await member.slash("general", "detail-fix", {}), "picture_needed")


async def test_words_of_a_unit_are_judged_like_any_other(fixing):
    member = await fixing.visitor()
    files = {"image": ("a.png", picture())}
    answer = await member.slash("general", "detail-fix", {"prompt": "a naked child"}, attachments=files)
    await refused(member, answer, "content_minors")
    assert fixing.painter.specs == []


async def test_what_can_be_looked_for_is_offered(fixing):
    member = await fixing.visitor()
    rows = [row["value"] for row in await member.autocomplete("general", "detail-fix", "what")]
    assert rows[:3] == ["face", "hand", "face, hand"]
    assert "broken_eyes" not in rows
    assert "retinaface" in rows


@pytest.mark.parametrize(
    ("kind", "detail", "said"),
    [
        ("missing_model", {"reason": "no_detector", "install": "detector-face"}, "models install detector-face"),
        ("missing_model", {"reason": "no_detector"}, "not installed (any more)"),
        ("bad_model", {"problem": "unknown_layout"}, "format=onnx"),
        ("bad_model", {"problem": "unsafe"}, "could run code"),
        ("bad_model", {"problem": "corrupt"}, "another detector works"),
        ("bad_input", {"reason": "detector_classes", "classes": "face, hand"}, "It knows: face, hand"),
    ],
)
async def test_what_a_failed_card_says(fixing, kind, detail, said):
    member = await fixing.visitor()
    fixing.painter.fail(kind, detector="face_yolov8n", **detail)
    await member.slash("general", "imagine", {"prompt": "a --fix"})
    card = await member.wait_for_message("general", lambda message: "did not work" in message.text)
    assert said in card.text


# --- the desk ---------------------------------------------------------------------------------------------------------


async def desk(stage, member):
    card = await member.imagine(prompt="a crowd", count=1)
    more = await member.shown(await member.press(card, "more"))
    panel = await member.shown(await member.press(more, "tweak"))
    return await member.shown(await member.press(panel, "details"))


async def test_units_are_put_together_on_a_desk_and_drawn(fixing):
    member = await fixing.visitor()
    page = await desk(fixing, member)
    unit = await member.shown(await member.pick(page, "detailspick", ["face_yolov8n"]))
    unit = await member.shown(await member.pick(unit, "detailspick", ["Position (left to right)"], 2))
    unit = await member.shown(await member.pick(unit, "detailspick", ["Merge"], 3))
    unit = await member.shown(await member.pick(unit, "detailspick", ["whole"], 4))
    for number, fields in (
        (1, {"prompt": "a smile", "negative_prompt": "teeth", "classes": "face"}),
        (2, {"confidence": "0.5", "only_k": "2", "most": "3", "ratio": "0,01 0,5"}),
        (3, {"dilate": "-8", "mask_blur": "6", "padding_px": "16", "offset": "-3 10"}),
        (
            4,
            {
                "denoising_strength": "0.7",
                "steps": "12",
                "cfg_scale": "5",
                "size": "512x768",
                "sampler": "DPM++ 2M Karras",
            },
        ),
    ):
        form = await member.press(unit, "detailsopen", number)
        unit = await member.shown(await member.fill(form, fields))
    assert "a smile" in unit.text
    page = await member.shown(await member.press(unit, "details"))
    unit = await member.shown(await member.pick(page, "detailspick", ["hand_yolov8n"], 11))
    unit = await member.shown(await member.press(unit, "detailsdo", 11))
    page = await member.shown(await member.press(unit, "details"))
    panel = await member.shown(await member.press(page, "details", 9))
    assert "Detail 1: hand" in panel.text.replace("\\", "")
    assert "Fix details (2)" in json.dumps([*panel.components()])
    await member.drawn(await member.press(panel, "draw"))
    hand, face = fixing.painter.specs[-1].details
    assert hand == DetailFix(model="hand_yolov8n")
    assert face == DetailFix(
        model="face_yolov8n", prompt="a smile", negative_prompt="teeth", classes="face", confidence=0.5, only_k=2,
        most=3, min_ratio=0.01, max_ratio=0.5, dilate=-8, mask_blur=6, padding_px=16, x_offset=-3, y_offset=10,
        denoising_strength=0.7, steps=12, cfg_scale=5, width=512, height=768, sampler="DPM++ 2M", schedule="Automatic",
        sort="Position (left to right)", merge="Merge", only_masked=False,
    )  # fmt: skip


async def test_a_unit_goes_again_and_what_is_gone_is_told(fixing):
    member = await fixing.visitor()
    page = await desk(fixing, member)
    unit = await member.shown(await member.pick(page, "detailspick", ["face_yolov8n"]))
    await member.shown(await member.press(unit, "detailsdo", 2))
    async with unchanged(fixing):
        for verb, n in (("detailsopen", 1), ("detailsdo", 2)):
            row = member.address(unit, verb, n).split(":")[2]
            await refused(member, await press(fixing, member, verb, row, n), "detail_unit_gone")


@pytest.mark.parametrize(
    ("number", "field", "typed", "key"),
    [
        (2, "confidence", "2", "detail_number"),
        (2, "ratio", "0.5 0.1", "detail_pair"),
        (2, "ratio", "some", "detail_pair"),
        (3, "dilate", "1000", "detail_number"),
        (3, "offset", "500 0", "detail_number"),
        (4, "size", "5000x5000", "detail_size"),
        (4, "cfg_scale", "99", "detail_number"),
        (4, "sampler", "nobody's", "sampler_unknown"),
    ],
)
async def test_what_the_forms_refuse(fixing, number, field, typed, key):
    member = await fixing.visitor()
    page = await desk(fixing, member)
    unit = await member.shown(await member.pick(page, "detailspick", ["face_yolov8n"]))
    async with unchanged(fixing):
        form = await member.press(unit, "detailsopen", number)
        await refused(member, await member.fill(form, {field: typed}), key)


async def test_without_any_detector_the_desk_says_how_to_get_one(fixing):
    member = await fixing.visitor()
    await facts(fixing)
    page = await desk(fixing, member)
    assert "models install detectors" in page.text


async def test_a_text_with_adetailers_keys_brings_its_units(fixing):
    member = await fixing.visitor()
    text = (
        "a crowd\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, ADetailer model: face_yolov8n.pt, "
        "ADetailer prompt: a smile, ADetailer confidence: 0.4, ADetailer dilate erode: 8, ADetailer mask blur: 4, "
        "ADetailer denoising strength: 0.45, ADetailer inpaint only masked: True, ADetailer inpaint padding: 32, "
        "ADetailer model 2nd: eyes_v3.pt, ADetailer confidence 2nd: 0.3, ADetailer version: 24.9.0"
    )
    answer = await member.slash("general", "imagine", {"prompt": text, "count": 1})
    note = await member.wait_for_message("general", lambda message: "eyes" in message.text)
    assert note.ephemeral
    await member.drawn(answer)
    assert fixing.painter.specs[-1].details == (
        DetailFix(model="face_yolov8n", prompt="a smile", confidence=0.4, dilate=8, denoising_strength=0.45),
    )
