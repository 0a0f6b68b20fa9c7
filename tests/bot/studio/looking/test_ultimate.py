"""/ultimate: a finished picture, ours or anybody's, enlarged and drawn again tile by tile."""

from dataclasses import replace

import pytest

from bot.delivery.cards import progress_card
from bot.delivery.progress_state import ProgressState
from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.named_models import models_of
from bot.domain.safety.limits import PLAIN, Limit
from bot.domain.safety.texts import steering_of
from bot.domain.ultimate import UltimateWish, ultimate_of
from bot.errors import UserFacingError
from bot.storage.inputs import given_pictures
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ControlUnit, FaceRestore, Hires, ImageRef, Region, Regions, Txt2Img
from tests.stage.painter import FACTS
from tests.stage.pictures_given import INFOTEXT, picture
from tests.stage.refusing import refused, unchanged
from tests.stage.visitor import verbs


async def ultimate(member, data=None, **options):
    files = {} if "picture" in options else {"image": ("a.png", data or picture())}
    return await member.slash("general", "ultimate", options, attachments=files)


async def test_a_picture_of_ours_goes_on_as_it_was_drawn(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple", count=2, seed=40, width=256, height=128)
    second = member.images(card)[1]
    drawn = await member.drawn(await ultimate(member, picture=second["id"], factor=4, denoise=0.25))
    spec = stage.painter.specs[-1]
    assert (spec.kind, spec.width, spec.height, spec.upscaler) == ("ultimate", 1024, 512, "4x-sharp")
    drawing = spec.drawing
    assert (drawing.prompt, drawing.seed, drawing.count, drawing.denoising_strength) == ("a red apple", 41, 1, 0.25)
    assert drawing.image.sha256 == second["sha256"]
    (image,) = member.images(drawn)
    assert (image["width"], image["height"]) == (1024, 512)
    assert "Ultimate SD upscale tile_width: 512" in image["infotext"]
    assert "a red apple" in drawn.text
    assert "2 tiles of 512 pixels" in drawn.text
    # All that can be made of the picture can be made of this one.
    varied = await member.drawn(await member.press(drawn, "vary", 1))
    assert stage.painter.specs[-1].prompt == "a red apple"
    assert len(member.images(varied)) == 4


async def test_anybodys_picture_after_its_own_words_or_none(stage):
    member = await stage.visitor()
    card = await member.drawn(await ultimate(member, picture(INFOTEXT, size=(100, 70))))
    spec = stage.painter.specs[-1]
    assert (spec.drawing.prompt, spec.drawing.negative_prompt) == ("a lighthouse at night", "fog")
    assert (spec.width, spec.height) == (256, 192)
    assert stage.painter.input(spec.drawing.image)
    assert "with 4x-sharp" in card.text
    assert {"ultimate", "info", "delete"} <= set(verbs(card))
    await member.drawn(await ultimate(member))
    assert stage.painter.specs[-1].drawing.prompt == ""
    await member.drawn(await ultimate(member, picture(INFOTEXT), prompt="a tower", negative_prompt=""))
    drawing = stage.painter.specs[-1].drawing
    assert (drawing.prompt, drawing.negative_prompt) == ("a tower", "")


async def test_every_option(stage):
    stage.painter.facts = (*FACTS, m.ModelFact(kind="controlnet", name="control_v11f1e_sd15_tile", family="sd1"))
    await stage.painter.announce()
    member = await stage.visitor()
    options = {
        "width": 1000, "height": 1500, "upscaler": "None", "tile": 768, "redraw": "chess", "seams": "half",
        "tile_control": True, "mask_blur": 12, "padding": 48, "steps": 33, "seed": 5, "both": True, "denoise": 0.5,
        "prompt": "a wall",
    }  # fmt: skip
    card = await member.drawn(await ultimate(member, **options))
    spec = stage.painter.specs[-1]
    assert (spec.width, spec.height, spec.upscaler, spec.redraw) == (1000, 1500, "None", "chess")
    assert (spec.tile_width, spec.mask_blur, spec.padding, spec.seams) == (768, 12, 48, "half tile offset pass")
    assert (spec.drawing.steps, spec.drawing.seed) == (33, 5)
    (unit,) = spec.drawing.control
    assert (unit.model, unit.preprocessor, unit.image) == ("control_v11f1e_sd15_tile", "tile_resample", None)
    assert len(member.images(card)) == 2
    assert "Half tile offset pass" in card.text


async def test_from_the_panel_of_everything_else_with_the_form(stage):
    member = await stage.visitor()
    card = await member.imagine(prompt="a red apple", count=1, width=256, height=256)
    panel = await member.shown(await member.press(card, "more"), lambda one: "ultimate" in verbs(one))
    form = await member.press(panel, "ultimate")
    await stage.restart(kill=True)
    fields = {"factor": "3", "upscaler": "Lanczos", "seams": "band", "denoise": "0.4", "prompt": "a green apple"}
    await member.drawn(await member.fill(form, fields))
    spec = stage.painter.specs[-1]
    assert (spec.width, spec.upscaler, spec.seams) == (768, "Lanczos", "band pass")
    assert (spec.drawing.denoising_strength, spec.drawing.prompt) == (0.4, "a green apple")
    form = await member.press(panel, "ultimate")
    assert "is no number" in await member.told(await member.fill(form, {"denoise": "much"}))


async def test_a_dynamic_prompt_is_drawn_once_for_all_tiles(stage):
    member = await stage.visitor()
    card = await member.drawn(await ultimate(member, prompt="a {red|blue} wall"))
    drawing = stage.painter.specs[-1].drawing
    assert drawing.prompt in ("a red wall", "a blue wall")
    assert (drawing.texts, drawing.template.prompt) == ((), "a {red|blue} wall")
    assert drawing.prompt in card.text


async def test_without_an_upscaler_model_the_command_takes_what_the_form_offers(stage):
    stage.painter.facts = tuple(fact for fact in FACTS if fact.kind != "upscaler")
    await stage.painter.announce()
    member = await stage.visitor()
    card = await member.drawn(await ultimate(member, factor=2))
    assert stage.painter.specs[-1].upscaler == "Lanczos"
    form = await member.press(card, "ultimate")
    await member.drawn(await member.fill(form, {}))
    assert stage.painter.specs[-1].upscaler == "Lanczos"


async def test_what_it_costs_is_said_and_counted(stage):
    member = await stage.visitor()
    answer = await ultimate(member, picture(size=(512, 512)), factor=4)
    told = await member.wait_for_message("general", lambda one: one.ephemeral and "16 tiles" in one.text)
    assert "2048×2048" in told.text
    card = await member.drawn(answer)
    # 16 tiles of 576 pixels at 0.3 of 20 steps or so.
    units = 16 * 0.576**2 * 0.3 * stage.painter.specs[-1].drawing.steps
    assert member.job(card)["work_units"] == pytest.approx(units)
    # Now its pace is known.
    await ultimate(member, picture(size=(512, 512)), factor=4)
    await member.wait_for_message("general", lambda one: one.ephemeral and "16 tiles: about 1 second of" in one.text)


def test_regions_stay_as_long_as_there_are_words_for_them():
    regions = Regions(areas=(Region(columns=2, right=1), Region(columns=2, left=1, right=2)))
    base = Txt2Img(prompt="a cat AND a dog", checkpoint="mini", width=128, height=128, seed=1, regions=regions)
    ref = ImageRef(ref="input:1", sha256="0" * 64, mime="image/png", size_bytes=9)
    for prompt, kept in (("", regions), ("a fox AND a hen", regions), ("a meadow", None)):
        made = ultimate_of(UltimateWish(prompt=prompt), base, ref, (128, 128), (), DEFAULT_LIMITS)
        assert made.drawing.regions == kept


async def test_tiles_are_as_large_as_the_model_draws_best(stage):
    member = await stage.visitor()
    for checkpoint, tile in (("dreamy", 512), ("photo-xl", 1024)):
        card = await member.imagine(prompt="a tower", count=1, checkpoint=checkpoint)
        await member.drawn(await ultimate(member, picture=member.images(card)[0]["id"]))
        spec = stage.painter.specs[-1]
        assert (spec.drawing.checkpoint, spec.tile_width) == (checkpoint, tile)
    small = Txt2Img(prompt="", checkpoint="mini", width=128, height=128, seed=1)
    facts = [m.ModelFact(kind="checkpoint", name="mini", native_px=128)]
    ref = ImageRef(ref="input:1", sha256="0" * 64, mime="image/png", size_bytes=9)
    made = [
        ultimate_of(UltimateWish(factor=factor, seams="corners"), small, ref, (512, 512), facts, DEFAULT_LIMITS)
        for factor in (1, 2, 16)
    ]
    assert [spec.tile_width for spec in made] == [128, 128, 512]


async def test_the_progress_counts_tiles(stage):
    member = await stage.visitor()
    card = await member.drawn(await ultimate(member))
    job = await stage.studio.jobs.get(member.job(card)["id"])
    shown = progress_card(job, ProgressState(phase="tiles", step=640, of=1600), has_preview=False)
    text = str(shown.to_components())
    assert "Tile 7 of 16" in text


@pytest.mark.parametrize(
    ("size", "options", "key"),
    [
        ((512, 512), {"factor": 16, "upscaler": "None"}, None),
        ((520, 512), {"factor": 16}, "ultimate_too_large"),
        ((4000, 10), {"width": 64}, "ultimate_size_small"),
        ((96, 64), {"redraw": "none"}, "ultimate_changes_nothing"),
        ((512, 512), {"factor": 16, "tile": 256, "seams": "corners"}, "ultimate_many_tiles"),
        ((96, 64), {"denoise": 0}, "denoising_range"),
        ((96, 64), {"upscaler": "5x-sharp"}, "upscaler_unknown"),
        ((96, 64), {"prompt": "a naked child"}, "content_minors"),
        ((96, 64), {"tile_control": True}, "control_none"),
        ((96, 64), {"prompt": "a tower <lora:nowhere:1>"}, "lora_unknown"),
        ((96, 64), {"prompt": "a tower <lora:inkwash:much>"}, "lora_weight"),
    ],
    ids=str,
)
async def test_what_is_refused(stage, size, options, key):
    member = await stage.visitor()
    if key is None:
        stage.painter.hold()  # 8192 pixels a side are not painted here
        await ultimate(member, picture(size=size), **options)
        await stage.painter.asked(1)
        assert stage.painter.specs[-1].width == 8192
        return
    async with unchanged(stage, "safety_events"):
        await refused(member, await ultimate(member, picture(size=size), **options), key)
    assert stage.painter.assigned == []


@pytest.mark.parametrize(
    ("wish", "key"),
    [
        ({"tile": 0}, "ultimate_tile"), ({"tile": 63}, "ultimate_tile"), ({"tile": 100}, "ultimate_tile"),
        ({"tile": 4096}, "ultimate_tile"), ({"tile": 1792, "padding": 300}, "ultimate_padding"),
        ({"padding": -1}, "ultimate_padding"), ({"mask_blur": 65}, "parameter_range"),
        ({"denoise": float("nan")}, "denoising_range"), ({"factor": float("nan")}, "factor_range"),
    ],
)  # fmt: skip
def test_what_no_command_sends(wish, key):
    ref = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=1)
    base = Txt2Img(prompt="x", checkpoint="dreamy", width=512, height=512, seed=1)
    with pytest.raises(UserFacingError) as told:
        ultimate_of(UltimateWish(**wish), base, ref, (512, 512), FACTS, DEFAULT_LIMITS)
    assert told.value.key == key
    large = replace(DEFAULT_LIMITS, max_picture_pixels=100)
    with pytest.raises(UserFacingError) as told:
        ultimate_of(UltimateWish(), base, ref, (512, 512), FACTS, large)
    assert told.value.key == "enlarge_large_already"


async def test_the_longest_side_that_an_admin_allows_holds(stage):
    member = await stage.visitor()
    card = await member.imagine(count=1, width=256, height=256)
    limits = {PLAIN: {Limit.SIDE_PX: 1024}}
    await stage.studio.safety.rules.change(stage.guild_id, lambda rules: rules.model_copy(update={"limits": limits}))
    async with unchanged(stage):
        await refused(member, await ultimate(member, picture=member.images(card)[0]["id"], factor=8), "limit_side_px")
    await member.drawn(await ultimate(member, picture=member.images(card)[0]["id"], factor=4))


def test_its_own_second_pass_and_its_parts_go_on_with_it():
    ref = ImageRef(ref="image:a", sha256="0" * 64, mime="image/png", size_bytes=1)
    hires = Hires(prompt="a tower at night", checkpoint="photo-xl", sampler="Euler", denoising_strength=0.4)
    base = Txt2Img(
        prompt="a tower", checkpoint="dreamy", width=512, height=512, seed=1, count=4, hires=hires, tiling=True,
        clip_skip=2, face_restore=FaceRestore(), control=(ControlUnit(model="a", image=ref), ControlUnit(model="b")),
    )  # fmt: skip
    spec = ultimate_of(UltimateWish(), base, ref, (1024, 1024), FACTS, DEFAULT_LIMITS)
    drawing = spec.drawing
    assert (drawing.prompt, drawing.checkpoint, drawing.sampler) == ("a tower at night", "photo-xl", "Euler")
    assert (drawing.count, drawing.clip_skip, drawing.tiling, drawing.face_restore) == (1, 2, False, None)
    assert [unit.model for unit in drawing.control] == ["a"], "a unit without a picture led from the one before"
    assert ("upscaler", "4x-sharp") in models_of(spec, FACTS)
    assert ("checkpoint", "photo-xl") in models_of(spec, FACTS)
    assert {one.ref for one in given_pictures(spec)} == {"image:a"}
    assert "a tower at night" in steering_of(spec).whole[0]
