"""ControlNet from Discord: the command, the desk, pictures used as control, texts that name units."""

import asyncio
import hashlib
import io
import json
import math
import struct

import pytest
from PIL import Image

from bot.domain.control.models import checkpoint_of
from bot.domain.control.units import UnitWish, make_unit
from gpu_worker.language.infotext import build_infotext
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Txt2Img
from tests.stage.painter import FACTS, Drawn
from tests.stage.pictures_given import picture
from tests.stage.refusing import press, refused, unchanged
from tests.stage.test_safety import adult_channel, eyes
from tests.stage.visitor import verbs

CANNY, POSE, DEPTH_XL = "control_v11p_sd15_canny", "control_v11p_sd15_openpose", "diffusers_xl_depth_full"
UNION = "controlnet-union-sd15"
CONTROLS = (
    ModelFact(kind="controlnet", name=CANNY, family="sd1"),
    ModelFact(kind="controlnet", name=POSE, family="sd1"),
    ModelFact(kind="controlnet", name="t2iadapter_sketch_sd15v2", family="sd1", variant="t2i_adapter"),
    ModelFact(kind="controlnet", name=UNION, family="sd1", variant="control_union"),
    ModelFact(kind="controlnet", name=DEPTH_XL, family="sdxl"),
    ModelFact(kind="controlnet", name="ip-adapter_sd15", family="sd1", variant="ip_adapter"),
    ModelFact(kind="controlnet", name="control_broken", family="sd1", problem="corrupt"),
    *(ModelFact(kind="annotator", name=name) for name in ("body_pose_model", "hand_pose_model", "facenet")),
)
RED, BLUE = picture(size=(64, 96), Title="red"), picture(size=(96, 64), Title="blue")


@pytest.fixture
async def led(make_stage):
    stage = await make_stage()
    stage.painter.facts = (*FACTS, *CONTROLS)
    await stage.painter.announce()
    return stage


def digest(data):
    return hashlib.sha256(data).hexdigest()


def seen(stage, unit):
    """Which picture the worker was handed."""
    return digest(stage.painter.input(unit.image))


async def control(member, options, image=RED, **files):
    attachments = {"image": ("red.png", image)} | {name: (f"{name}.png", data) for name, data in files.items()}
    return await member.slash("general", "control", {"prompt": "a boat", **options}, attachments=attachments)


def plain(text):
    """Without the signs that keep names inert."""
    return text.replace("\\", "")


def weights():
    """A ControlNet's file as far as the library looks at it."""
    shapes = {
        "input_hint_block.0.weight": [16, 3, 3, 3],
        "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [4, 768],
    }
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(at)


def kept(stage):
    return [file for file in stage.settings.data.rglob("inputs/*/*") if file.is_file()]


# --- the command ------------------------------------------------------------------------------------------------------


async def test_a_type_chooses_preprocessor_and_model(led):
    member = await led.visitor()
    options = {"type": "OpenPose", "weight": 0.8, "start": 0.1, "end": 0.9, "mode": "My prompt is more important"}
    card = await member.drawn(await control(member, {**options, "count": 1, "seed": 5}))
    spec = led.painter.specs[-1]
    (unit,) = spec.control
    assert (unit.preprocessor, unit.model, unit.weight) == ("openpose_full", POSE, 0.8)
    assert (unit.start, unit.end, unit.mode) == (0.1, 0.9, "My prompt is more important")
    assert seen(led, unit) == digest(RED)
    assert spec.width < spec.height  # in the shape of the picture
    assert "ControlNet: openpose_full 0.8" in plain(card.text)
    infotext = led.rows("SELECT infotext FROM images")[0]["infotext"]
    assert f'ControlNet 0: "Module: openpose_full, Model: {POSE}' in infotext


async def test_without_a_word_the_first_type_that_can_lead_does(led):
    member = await led.visitor()
    await member.drawn(await control(member, {"count": 1}))
    (unit,) = led.painter.specs[-1].control
    assert (unit.preprocessor, unit.model) == ("canny", CANNY)


@pytest.mark.parametrize(
    ("options", "preprocessor", "model"),
    [
        ({"preprocessor": "scribble_xdog"}, "scribble_xdog", "t2iadapter_sketch_sd15v2"),
        ({"preprocessor": "openpose_hand"}, "openpose_hand", POSE),
        ({"preprocessor": "none", "model": POSE}, "none", POSE),
        ({"model": POSE}, "openpose_full", POSE),
        ({"model": f"{CANNY} [d14c016b]".upper()}, "canny", CANNY),
        ({"type": "Depth", "preprocessor": "none"}, "none", UNION),
        ({"type": "SoftEdge", "preprocessor": "scribble_xdog"}, "scribble_xdog", UNION),
    ],
)
async def test_what_is_said_and_what_follows(led, options, preprocessor, model):
    spec = Txt2Img(prompt="a", checkpoint="dreamy", width=64, height=64, seed=1)
    facts = led.painter.facts
    wish = UnitWish(options.get("type"), options.get("preprocessor"), options.get("model"))
    unit = make_unit(wish, None, checkpoint_of(spec, facts), facts)
    assert (unit.preprocessor, unit.model) == (preprocessor, model)


async def test_it_leads_an_img2img_with_a_mask(led):
    member = await led.visitor()
    mask = io.BytesIO()
    Image.new("L", (96, 64), 255).save(mask, "PNG")
    answer = await control(member, {"denoise": 0.6, "count": 1}, source=BLUE, mask=mask.getvalue())
    await member.drawn(answer)
    spec = led.painter.specs[-1]
    assert (spec.kind, spec.denoising_strength) == ("img2img", 0.6)
    assert spec.mask is not None
    assert seen(led, spec.control[0]) == digest(RED)
    assert digest(led.painter.input(spec.image)) == digest(BLUE)
    assert spec.width > spec.height  # of what it starts from


async def test_another_base_model_has_its_own(led):
    member = await led.visitor()
    led.painter.facts = (*led.painter.facts, ModelFact(kind="annotator", name="dpt_hybrid-midas-501f0c75"))
    await led.painter.announce()
    await member.drawn(await control(member, {"checkpoint": "photo-xl", "count": 1}))
    (unit,) = led.painter.specs[-1].control
    assert (unit.preprocessor, unit.model) == ("depth_midas", DEPTH_XL)


async def test_completion_offers_what_fits(led):
    member = await led.visitor()
    names = [row["value"] for row in await member.autocomplete("general", "control", "model", {"prompt": "a"})]
    assert {CANNY, POSE, UNION} <= {*names}
    assert not {"ip-adapter_sd15", "control_broken"} & {*names}
    of_pose = await member.autocomplete("general", "control", "model", {"prompt": "a", "type": "OpenPose"})
    assert of_pose[0]["value"] == POSE
    first = await member.autocomplete("general", "control", "preprocessor", {"prompt": "a", "type": "OpenPose"})
    assert first[0]["value"] == "openpose_full"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"model": DEPTH_XL}, "control_base"),
        ({"model": "control_v11p_sd15_cany"}, "control_unknown"),
        ({"model": "ip-adapter_sd15"}, "control_adapter"),
        ({"model": "control_broken"}, "control_unusable"),
        ({"type": "InstructP2P"}, "control_type_missing"),
        ({"type": "Recolor"}, "control_type_none"),
        ({"type": "OpenPose", "preprocessor": "dw_openpose_full"}, "preprocessor_missing"),
        ({"preprocessor": "martian"}, "preprocessor_unknown"),
        ({"preprocessor": "shuffle"}, "control_type_missing"),
        ({"preprocessor": "none"}, "control_model_needed"),
        ({"preprocessor": "none", "model": UNION}, "control_type_needed"),
        ({"start": 0.9, "end": 0.2}, "control_order"),
        ({"checkpoint": "photo-xl", "model": CANNY}, "control_base"),
    ],
)  # fmt: skip
async def test_what_is_refused_before_it_waits(led, options, key):
    member = await led.visitor()
    async with unchanged(led):
        said = plain(await refused(member, await control(member, options), key))
    if key == "control_base":
        assert DEPTH_XL in said  # the one that was meant, or the one that fits
    assert not kept(led)


async def test_without_any_control_model_the_command_that_installs_one(make_stage):
    stage = await make_stage()
    member = await stage.visitor()
    said = await refused(member, await control(member, {}), "control_none")
    assert "launch.py models install controlnet-basics" in said
    said = await refused(member, await control(member, {"type": "Depth"}), "control_none")
    assert "install control-depth" in said
    stage.painter.facts = (*FACTS, ModelFact(kind="controlnet", name=DEPTH_XL, family="sdxl"))
    await stage.painter.announce()
    await refused(member, await control(member, {}), "control_base_none")
    assert not kept(stage)


async def test_pictures_that_cannot_lead(led):
    member = await led.visitor()
    await refused(member, await control(member, {}, image=b"no picture"), "picture_unreadable")
    huge = io.BytesIO()
    Image.new("1", (7680, 4320)).save(huge, "PNG")
    await refused(member, await control(member, {}, image=huge.getvalue()), "picture_pixels")
    await refused(member, await control(member, {}, mask=RED), "mask_without_picture")
    assert not kept(led)
    # A moving one and a transparent one are taken as img2img takes them: the worker sees the first picture, flattened.
    moving = io.BytesIO()
    frames = [Image.new("P", (64, 64), n) for n in (0, 1)]
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    clear = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(clear, "PNG")
    four_k = io.BytesIO()
    Image.new("1", (3840, 2160)).save(four_k, "PNG")
    for data in (moving.getvalue(), clear.getvalue(), four_k.getvalue()):
        await member.drawn(await control(member, {"count": 1}, image=data))
        assert seen(led, led.painter.specs[-1].control[0]) == digest(data)


async def test_a_disabled_model_is_refused_by_name(led):
    file = led.settings.models_dir / "controlnet" / f"{CANNY}.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(weights())
    await led.studio.library.refresh()
    member, admin = await led.visitor(), await led.visitor("Admin")
    card = await member.drawn(await control(member, {"model": CANNY, "count": 1}))
    used = await led.studio.library.history_of(int(member.user_id))
    assert used["controlnet", CANNY] == 1
    await admin.told(await admin.slash("general", "model-admin disable", {"model": CANNY}))
    await refused(member, await control(member, {"model": CANNY}), "model_disabled")
    await refused(member, await member.press(card, "reroll"), "model_disabled")


# --- what goes on from a drawing --------------------------------------------------------------------------------------


async def test_everything_made_of_it_keeps_its_units(led):
    member = await led.visitor()
    card = await member.drawn(await control(member, {"count": 1, "weight": 0.7}))
    first = led.painter.specs[-1].control

    def same():
        found = led.painter.specs[-1].control
        return [(u.model, u.preprocessor, u.weight) for u in found] == [
            (u.model, u.preprocessor, u.weight) for u in first
        ] and seen(led, found[0]) == digest(RED)

    for verb, n in (("reroll", None), ("vary", 2), ("upscale", None), ("zoom", 150)):
        await member.drawn(await member.press(card, verb, n))
        assert same() is (verb != "zoom"), verb  # on a larger canvas nothing would be in its place
    edited = await member.fill(await member.press(card, "edit"), {"prompt": "a ship"})
    drawn = await member.drawn(edited)
    assert same()
    assert led.painter.specs[-1].prompt == "a ship"
    await member.drawn(await member.slash("general", "repeat", {"add": "at night"}))
    assert same()
    # Another base model: none of its type is here.
    other = await member.slash("general", "repeat", {"checkpoint": "photo-xl"})
    await member.drawn(other)
    assert led.painter.specs[-1].control == ()
    told = await member.wait_for_message("general", lambda m: "were left out" in m.text)
    assert CANNY in plain(told.text)
    assert drawn.text


async def test_a_failed_one_is_tried_again_with_its_units(led):
    member = await led.visitor()
    led.painter.fail()
    card = await member.shown(await control(member, {"count": 1}), lambda m: "retry" in verbs(m))
    await member.drawn(await member.press(card, "retry"))
    assert seen(led, led.painter.specs[-1].control[0]) == digest(RED)


async def test_what_changed_is_told_by_name(led):
    member = await led.visitor()
    card = await member.drawn(await control(member, {"count": 1}))
    panel = await member.shown(await member.press(card, "more"))
    panel = await member.shown(await member.press(panel, "tweak"))
    desk = await member.shown(await member.press(panel, "control"), lambda m: "controlopen" in verbs(m))
    page = await open_unit(member, desk, 0)
    await member.fill(await member.press(page, "controlopen", 2), {"weight": "0,5", "threshold_a": "40"})
    page = await member.shown(page.id, lambda m: "Weight 0.5" in m.text)
    panel = await back(member, page)
    assert "ControlNet 0 Weight 1 → 0.5" in panel.text
    await member.drawn(await member.press(panel, "draw"))
    (unit,) = led.painter.specs[-1].control
    assert (unit.weight, unit.threshold_a) == (0.5, 40)
    made = await member.wait_for_message("general", lambda m: "ControlNet 0 Canny Low Threshold" in m.text)
    assert "Weight 1 → 0.5" in made.text


async def open_unit(member, desk, at):
    await member.press(desk, "control", at)
    return await member.shown(desk.id, lambda m: "controlpick" in verbs(m))


async def back(member, page):
    await member.press(page, "control")
    desk = await member.shown(page.id, lambda m: "controlpick" not in verbs(m))
    await member.press(desk, "control", 9)
    return await member.shown(desk.id, lambda m: "pick" in verbs(m))


# --- the desk ---------------------------------------------------------------------------------------------------------


async def opened_desk(stage, member, options=None, **files):
    """The page of the only unit of a request that waits in the panel."""
    answer = await control(member, {"advanced": True, "count": 1, **(options or {})}, **files)
    panel = await member.shown(answer, lambda m: "control" in verbs(m))
    assert panel.ephemeral
    await member.press(panel, "control")
    return await member.shown(panel.id, lambda m: "controlopen" in verbs(m))


async def draw(member, page):
    panel = await back(member, page)
    return await member.drawn(await member.press(panel, "draw"))


async def test_the_panel_opens_the_desk_and_draws_with_it(led):
    member = await led.visitor()
    desk = await opened_desk(led, member)
    assert "ControlNet: 1 of 4 units" in desk.text
    assert not led.painter.specs
    page = await open_unit(member, desk, 0)
    assert [m for m in page.attachments if m["filename"] == "unit0.jpg"]
    # A type chooses both; the rest is chosen apart.
    await member.pick(page, "controlpick", ["OpenPose"], 1)
    page = await member.shown(page.id, lambda m: "openpose_full" in plain(m.text))
    await member.pick(page, "controlpick", ["openpose_hand"], 2)
    page = await member.shown(page.id, lambda m: "openpose_hand" in plain(m.text))
    await member.pick(page, "controlpick", [UNION], 3)
    page = await member.shown(page.id, lambda m: UNION in plain(m.text))
    await member.pick(page, "controlpick", ["ControlNet is more important"], 4)
    page = await member.shown(page.id, lambda m: "more important" in m.text)
    await member.pick(page, "controlpick", ["Depth"], 5)
    page = await member.shown(page.id, lambda m: "Depth" in m.text)
    form = await member.press(page, "controlopen", 3)
    sizes = {"resolution": "768", "pixel_perfect": "True", "resize_mode": "Resize and Fill", "hires": "Low res only"}
    await member.fill(form, {**sizes, "low_memory": "True"})
    page = await member.shown(page.id, lambda m: "Low VRAM" in m.text)
    await draw(member, page)
    (unit,) = led.painter.specs[-1].control
    assert (unit.preprocessor, unit.model, unit.mode) == ("openpose_hand", UNION, "ControlNet is more important")
    assert (unit.control_type, unit.processor_resolution, unit.pixel_perfect) == ("Depth", 768, True)
    assert (unit.resize_mode, unit.hires, unit.low_memory) == ("Resize and Fill", "Low res only", True)


async def test_units_come_go_and_change_places_over_a_restart(led):
    member = await led.visitor()
    desk = await opened_desk(led, member)
    form = await member.press(desk, "controlopen", 11)
    await member.fill(form, {"kind": "OpenPose"}, {"image": ("blue.png", BLUE), "mask": ("mask.png", RED)})
    page = await member.shown(desk.id, lambda m: "ControlNet 1" in m.text)
    assert "With a mask" in page.text
    await led.restart(kill=True)
    led.painter.facts = (*FACTS, *CONTROLS)
    await led.painter.announce()
    await member.press(page, "controldo", 11)  # earlier
    page = await member.shown(page.id, lambda m: "ControlNet 0" in m.text)
    await draw(member, page)
    first, second = led.painter.specs[-1].control
    assert (first.model, second.model) == (POSE, CANNY)
    assert (seen(led, first), seen(led, second)) == (digest(BLUE), digest(RED))
    assert digest(led.painter.input(first.mask)) == digest(RED)


async def test_a_unit_is_given_another_picture_and_taken_out(led):
    member = await led.visitor()
    desk = await opened_desk(led, member)
    page = await open_unit(member, desk, 0)
    small = page.attachments[0]["id"]
    await member.fill(await member.press(page, "controlopen", 1), {}, {"image": ("blue.png", BLUE)})
    page = await member.shown(page.id, lambda m: m.attachments and m.attachments[0]["id"] != small)
    assert [file.name for file in kept(led) if file.name == digest(BLUE)]
    page = await member.shown(page.id)
    await member.press(page, "controldo", 2)
    desk = await member.shown(page.id, lambda m: "0 of 4" in m.text)
    async with asyncio.timeout(60):  # it goes after the answer
        while [file.name for file in kept(led)] != [digest(RED)]:  # "undo all" would need the first
            await asyncio.sleep(0.02)
    await member.press(desk, "control", 9)
    panel = await member.shown(desk.id, lambda m: "pick" in verbs(m))
    await member.drawn(await member.press(panel, "draw"))
    assert led.painter.specs[-1].control == ()


async def test_four_are_the_most_and_numbers_are_looked_at(led):
    member = await led.visitor()
    desk = await opened_desk(led, member)
    for n in (11, 21, 31):
        await member.fill(
            await member.press(desk, "v1:controlopen:" + draft_of(desk) + f":{n}"), {}, {"image": ("b.png", BLUE)}
        )
        page = await member.shown(desk.id, lambda m, n=n: f"ControlNet {n // 10}" in m.text)
        await member.press(page, "control")
        desk = await member.shown(page.id, lambda m: "controlpick" not in verbs(m))
    assert "controlopen" not in verbs(desk)
    draft = draft_of(desk)
    await refused(member, await press(led, member, "controlopen", draft, 41), "control_full")
    await refused(member, await press(led, member, "controldo", draft, 92), "control_unit_gone")
    await refused(member, await press(led, member, "controlopen", draft, 53), "control_unit_gone")
    page = await open_unit(member, desk, 0)
    async with unchanged(led):
        bad = await member.fill(await member.press(page, "controlopen", 2), {"weight": "9"})
        await refused(member, bad, "control_number")
        bad = await member.fill(await member.press(page, "controlopen", 2), {"start": "0.8", "end": "0.1"})
        await refused(member, bad, "control_order")
    stranger = await led.visitor("Other")
    await refused(stranger, await press(led, stranger, "control", draft), "draft_unknown")


def draft_of(card):
    return next(str(c["custom_id"]).split(":")[2] for c in card.components() if "control" in str(c.get("custom_id")))


async def test_a_preprocessor_is_searched_by_name(led):
    member = await led.visitor()
    page = await open_unit(member, await opened_desk(led, member), 0)
    form = await member.pick(page, "controlpick", ["?"], 2)
    await member.fill(form, {"text": "color grid"})
    await member.shown(page.id, lambda m: "t2ia_color_grid" in plain(m.text))
    form = await member.pick(page, "controlpick", ["?"], 2)
    await refused(member, await member.fill(form, {"text": "zzzz"}), "preprocessor_unknown")
    form = await member.pick(page, "controlpick", ["?"], 3)
    await refused(member, await member.fill(form, {"text": "zzzz"}), "control_unknown")


async def test_a_map_of_a_unit_for_its_user_alone(led):
    led.painter.tasks = (*led.painter.tasks, "preprocess")
    led.painter.answers["preprocess"] = lambda spec: [Drawn(picture(size=(64, 96)), 64, 96, 0, "")]
    await led.painter.announce()
    member = await led.visitor()
    page = await open_unit(member, await opened_desk(led, member), 0)
    card = await member.drawn(await member.press(page, "controldo", 3))
    spec = led.painter.specs[-1]
    assert (spec.kind, spec.preprocessor) == ("preprocess", "canny")
    assert digest(led.painter.input(spec.image)) == digest(RED)
    assert card.ephemeral


async def test_what_somebody_else_gave_is_not_shown(led):
    member, other = await led.visitor(), await led.visitor("Other")
    card = await member.drawn(await control(member, {"count": 1}))
    panel = await other.shown(await other.press(await other.shown(card.id), "more"))
    panel = await other.shown(await other.press(panel, "tweak"))
    await other.press(panel, "control")
    desk = await other.shown(panel.id, lambda m: "controlopen" in verbs(m))
    page = await open_unit(other, desk, 0)
    assert "cannot be shown here" in page.text
    assert not page.attachments
    await refused(other, await other.press(page, "controldo", 3), "control_picture_hidden")
    # It leads all the same.
    await draw(other, page)
    assert seen(led, led.painter.specs[-1].control[0]) == digest(RED)


# --- pictures used as control -----------------------------------------------------------------------------------------


async def test_a_finished_picture_becomes_a_unit_of_its_own_request(led):
    member = await led.visitor()
    card = await member.imagine(prompt="a harbour", count=2, seed=7, width=256, height=128)
    more = await member.shown(await member.press(card, "more"))
    page = await member.shown(await member.press(more, "asunit"), lambda m: "controlpick" in verbs(m))
    assert page.ephemeral
    assert [m for m in page.attachments if m["filename"] == "unit0.jpg"]
    panel = await back(member, page)
    assert "ControlNet 0 added" in panel.text
    await member.drawn(await member.press(panel, "draw"))
    spec = led.painter.specs[-1]
    assert (spec.prompt, spec.width, spec.height) == ("a harbour", 256, 128)
    assert spec.seed != 7
    first = led.rows("SELECT sha256 FROM images WHERE idx = 0 ORDER BY rowid")[0]["sha256"]
    assert seen(led, spec.control[0]) == first


async def test_a_map_becomes_a_unit_that_takes_it_as_it_is(led):
    led.painter.tasks = (*led.painter.tasks, "preprocess")
    led.painter.answers["preprocess"] = lambda spec: [Drawn(picture(size=(64, 96)), 64, 96, 0, "")]
    await led.painter.announce()
    member = await led.visitor()
    answer = await member.slash("general", "preprocess", {"preprocessor": "openpose"}, {"image": ("red.png", RED)})
    made = await member.drawn(answer)
    page = await member.shown(await member.press(made, "asunit"), lambda m: "controlpick" in verbs(m))
    await draw(member, page)
    (unit,) = led.painter.specs[-1].control
    assert (unit.preprocessor, unit.model) == ("none", POSE)
    assert seen(led, unit) == led.rows("SELECT sha256 FROM images")[0]["sha256"]


async def test_what_drew_one_of_ours_is_used_again_with_its_units(led):
    member = await led.visitor()
    card = await member.drawn(await control(member, {"count": 1, "weight": 0.4}))
    info = await member.shown(await member.context_menu(card, "Picture info"))
    panel = await member.shown(await member.press(info, "usefound"), lambda m: "control" in verbs(m))
    await member.drawn(await member.press(panel, "draw"))
    (unit,) = led.painter.specs[-1].control
    assert (unit.weight, seen(led, unit)) == (0.4, digest(RED))


async def test_a_units_page_says_what_is_chosen_and_what_is_not_installed_and_draws(led):
    def lists(page):
        selects = [item for item in page.components() if item.get("options")]
        return [{option["value"]: option for option in select["options"]} for select in selects]

    member = await led.visitor()
    page = await open_unit(member, await opened_desk(led, member), 0)
    kinds, preprocessors, models, modes = lists(page)
    chosen = [
        option["label"]
        for rows in (kinds, preprocessors, models, modes)
        for option in rows.values()
        if option.get("default")
    ]
    assert chosen == ["Control type: Canny", "Preprocessor: canny", f"Model: {CANNY}", "Control mode: Balanced"]
    assert preprocessors["depth_midas"]["description"] == "Depth · not installed"
    assert preprocessors["canny"]["description"] == "Canny"
    assert "not installed" not in page.text
    assert "makes a map for" not in page.text
    await member.pick(page, "controlpick", ["depth_midas"], 2)
    page = await member.shown(page.id, lambda m: "depth_midas" in plain(m.text))
    assert "Its preprocessor is not installed" in page.text
    assert "makes a map for Depth, and its model follows Canny" in page.text
    await member.pick(page, "controlpick", ["canny"], 2)
    page = await member.shown(page.id, lambda m: "depth_midas" not in plain(m.text))
    await member.drawn(await member.press(page, "draw"))
    assert led.painter.specs[-1].control[0].preprocessor == "canny"


async def test_the_desk_fits_discord_whatever_is_installed(led):
    names = [f"control_v11p_sd15_canny_{n:02}_{'long' * 15}" for n in range(40)]
    led.painter.facts = (*FACTS, *CONTROLS, *(ModelFact(kind="controlnet", name=n, family="sd1") for n in names))
    await led.painter.announce()
    member = await led.visitor()
    desk = await opened_desk(led, member, {"model": names[-1], "weight": 0.33, "start": 0.1, "end": 0.9})
    for n in (11, 21, 31):
        form = await member.press(desk, f"v1:controlopen:{draft_of(desk)}:{n}")
        await member.fill(form, {}, {"image": ("b.png", BLUE)})
        page = await member.shown(desk.id, lambda m, n=n: f"ControlNet {n // 10}" in m.text)
        # More than a list holds.
        form = await member.pick(page, "controlpick", ["?"], n - 1 + 3)
        await member.fill(form, {"text": names[n]})
        page = await member.shown(page.id, lambda m, n=n: names[n] in plain(m.text))
        await member.press(page, "control")
        desk = await member.shown(page.id, lambda m: "controlpick" not in verbs(m))
    panel = await back(member, await open_unit(member, desk, 3))
    assert names[-1] in plain(panel.text)
    assert len(panel.text) <= 4000


async def test_the_history_sends_to_controlnet(led):
    member = await led.visitor()
    card = await member.imagine(prompt="a harbour", count=1, width=64, height=64)
    shelf = await member.shown(await member.slash("general", "history"))
    await member.pick(shelf, "historyopen", [member.images(card)[0]["id"]])
    opened = await member.shown(shelf.id, lambda m: "historysend" in verbs(m))
    page = await member.shown(
        await member.pick(opened, "historysend", ["control"]), lambda m: "controlpick" in verbs(m)
    )
    assert "ControlNet 0" in page.text


async def test_a_strangers_picture_becomes_a_unit(led):
    member = await led.visitor()
    info = await member.shown(await member.slash("general", "png-info", {}, {"image": ("a.png", BLUE)}))
    page = await member.shown(await member.press(info, "findcontrol"), lambda m: "controlpick" in verbs(m))
    await draw(member, page)
    spec = led.painter.specs[-1]
    assert seen(led, spec.control[0]) == digest(BLUE)
    assert spec.width > spec.height
    assert spec.prompt == "best quality, high quality"


async def test_a_card_whose_draft_or_picture_is_gone(led):
    member = await led.visitor()
    await refused(member, await press(led, member, "asunit", "a" * 16), "picture_unknown")
    await refused(member, await press(led, member, "findcontrol", "a" * 16, 0), "find_unknown")
    await refused(member, await press(led, member, "control", "a" * 16), "draft_unknown")


async def test_a_control_picture_counts_as_given_however_many_steps_later(led):
    member = await led.visitor()
    await adult_channel(led)
    await eyes(led, 0.0)

    async def asked(prompt):
        return await member.slash(
            "after-dark", "control", {"prompt": prompt, "count": 1, "type": "OpenPose"}, {"image": ("me.png", RED)}
        )

    await asked("nude")
    said = await member.wait_for_message("after-dark", lambda m: "somebody gave" in m.text and m.ephemeral)
    await member.delete(said)
    card = await member.drawn(await asked("a portrait"), "after-dark")
    form = await member.press(card, "edit")
    assert "somebody gave" in await member.told(await member.fill(form, {"prompt": "nude"}), "after-dark")


# --- texts that name units --------------------------------------------------------------------------------------------

LINE = {"Steps": 20, "Sampler": "Euler a", "CFG scale": 7, "Seed": 3, "Size": "512x512", "Model": "dreamy"}
UNIT = f"Module: canny, Model: {CANNY} [d14c016b], Weight: 0.6, Guidance Start: 0, Guidance End: 0.8"


async def test_a_pasted_text_waits_for_its_control_picture(led):
    member = await led.visitor()
    text = build_infotext("a pier", "", LINE | {"ControlNet 0": UNIT})
    await member.drawn(await member.slash("general", "imagine", {"prompt": text.replace("\n", " ")}))
    assert led.painter.specs[-1].control == ()
    told = await member.wait_for_message("general", lambda m: "give the control picture" in m.text)
    assert CANNY in plain(told.text)
    # In the panel it waits, and "Draw" says so.
    answer = await member.slash("general", "imagine", {"prompt": text.replace("\n", " "), "advanced": True})
    panel = await member.shown(answer, lambda m: "control" in verbs(m))
    assert "ControlNet 0" in panel.text
    await refused(member, await member.press(panel, "draw"), "control_picture_missing")
    # With a picture, through /control.
    await member.drawn(await control(member, {"prompt": text.replace("\n", " ")}))
    (unit,) = led.painter.specs[-1].control
    assert (unit.model, unit.weight, unit.end) == (CANNY, 0.6, 0.8)
    assert seen(led, unit) == digest(RED)
    assert led.painter.specs[-1].width == 512


async def test_a_text_of_ones_own_picture_brings_its_control_picture(led):
    member = await led.visitor()
    await member.drawn(await control(member, {"count": 1, "weight": 0.6, "seed": 11}))
    infotext = led.rows("SELECT infotext FROM images")[0]["infotext"]
    await member.drawn(await member.slash("general", "imagine", {"prompt": infotext.replace("\n", " ")}))
    (unit,) = led.painter.specs[-1].control
    assert seen(led, unit) == digest(RED)
    assert unit.weight == 0.6
    # Somebody else has no such record.
    other = await led.visitor("Other")
    await other.drawn(await other.slash("general", "imagine", {"prompt": infotext.replace("\n", " ")}))
    assert led.painter.specs[-1].control == ()


async def test_a_foreign_picture_with_units_is_used_as_it_says(led):
    member = await led.visitor()
    text = build_infotext("a pier", "", LINE | {"ControlNet 0": UNIT, "ControlNet 1": "Module: canny, Model: martian"})
    info = await member.shown(await member.slash("general", "png-info", {}, {"image": ("a.png", picture(text))}))
    assert "martian" in info.text  # it is not here, which the card says at once
    panel = await member.shown(await member.press(info, "usefound"), lambda m: "control" in verbs(m))
    assert "ControlNet 0: canny" in panel.text
    assert "martian" in panel.text
    assert "are in no text" in panel.text


async def test_units_of_a_text_without_pictures_wait_on_the_desk(led):
    member = await led.visitor()
    second = UNIT.replace("0.6", "0.7")
    text = build_infotext("a pier", "", LINE | {"ControlNet 0": UNIT, "ControlNet 1": second})
    panel = await member.shown(
        await control(member, {"prompt": text.replace("\n", " "), "advanced": True}), lambda m: "control" in verbs(m)
    )
    assert "ControlNet 1" in panel.text
    assert "Give each its picture" in panel.text
    info = await member.shown(await member.slash("general", "png-info", {}, {"image": ("a.png", picture(text))}))
    page = await member.shown(await member.press(info, "findcontrol"), lambda m: "controlpick" in verbs(m))
    panel = await back(member, page)
    assert "Weight 0.7" in panel.text
    await refused(member, await member.press(panel, "draw"), "control_picture_missing")


async def test_a_picture_whose_text_cannot_be_drawn_here_leads_all_the_same(led):
    member = await led.visitor()
    text = build_infotext("a pier <lora:not-here:1>", "", LINE)
    info = await member.shown(await member.slash("general", "png-info", {}, {"image": ("a.png", picture(text))}))
    page = await member.shown(await member.press(info, "findcontrol"), lambda m: "controlpick" in verbs(m))
    assert "cannot be drawn here as it stands" in page.text
    await draw(member, page)
    assert led.painter.specs[-1].prompt == "best quality, high quality"
    assert seen(led, led.painter.specs[-1].control[0]) == digest(picture(text))
