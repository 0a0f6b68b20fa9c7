"""Every parameter by flag and by key, each documented for users, each reaching the request."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import actions
from bot.domain.fields import line_of, read_fields, shown_fields
from bot.domain.flags import FLAGS, Flagged, read_flags, read_value
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.pictures import GivenPicture
from bot.domain.recorded import parameters_of
from bot.domain.styles import Style, StyleParameters, style_from_spec
from bot.domain.wishes import WISHES
from bot.errors import UserFacingError
from gpu_worker.language.infotext import parse_fields
from gpu_worker.language.picture_fields import OwnKey
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Hires, ImageRef, Img2Img, Txt2Img

PROMPTS = Path(__file__).parents[3] / "docs" / "prompts.md"
LIMITS = Limits()
FACTS = (
    ModelFact(kind="checkpoint", name="dreamshaper", family="sd1", native_px=512),
    ModelFact(kind="checkpoint", name="second", family="sd1", native_px=512),
    ModelFact(kind="checkpoint", name="sd_xl_refiner", family="sdxl_refiner"),
    ModelFact(kind="checkpoint", name="xl", family="sdxl", native_px=1024, sha256="ab" * 32),
    ModelFact(kind="vae", name="vae-ft-mse-840000", family="sd1"),
    ModelFact(kind="vae", name="xl-vae", family="sdxl"),
    ModelFact(kind="vae", name="bad", problem="corrupt"),
    ModelFact(kind="upscaler", name="4x-UltraSharp"),
    ModelFact(kind="upscaler", name="hurt", problem="corrupt"),
    ModelFact(kind="face", name="detection_Resnet50_Final"),
    ModelFact(kind="face", name="GFPGANv1.4"),
    ModelFact(kind="embedding", name="EasyNegative", family="sd1"),
    ModelFact(kind="lora", name="ink-v2", alias="ink", family="sd1"),
)
IMAGE = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=9)
PICTURE = GivenPicture(IMAGE, 1200, 800)


def build(prompt="a cat", *, style=None, picture=None, negative=None, lora=None, facts=FACTS, **wishes):
    options = ImagineOptions(prompt, negative, lora, Parameters(**wishes), picture)
    return build_imagine(options, styles=[style] if style else [], facts=facts, limits=LIMITS, rng=Random(1))


def refusal(prompt="a cat", **options):
    with pytest.raises(UserFacingError) as caught:
        build(prompt, **options)
    return caught.value


# --- the table --------------------------------------------------------------------------------------------------------


def test_no_name_is_used_twice():
    names = [name for flag in FLAGS for name in flag.names]
    assert len(set(names)) == len(names)
    keys = [wish.key.casefold() for wish in WISHES]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.names[0])
def test_every_flag_reads_its_own_example_by_every_name(flag):
    for name in flag.names:
        for dashes in ("--", "—", "–"):
            read = read_flags(f"a cat {dashes}{name} {flag.example}")
            assert read.prompt == "a cat", name
            assert read.negative or read.parameters != Parameters()
        assert read_flags(f"a cat --{name.upper().replace('-', '_')} {flag.example}") == read
    if flag.bare is not None:
        assert read_flags(f"a cat --{flag.names[0]}").parameters != Parameters()


def test_the_page_about_prompts_has_a_row_for_every_flag_with_all_its_names():
    rows = {
        found[1]: found[0]
        for found in re.finditer(r"^\| `--([a-z-]+)` \|.*$", PROMPTS.read_text("utf-8"), re.MULTILINE)
    }
    assert list(rows) == [flag.names[0] for flag in FLAGS]
    for flag in FLAGS:
        row = rows[flag.names[0]]
        assert set(re.findall(r"`--([a-z0-9-]+)`", row.rsplit("|", 2)[0])) == set(flag.names)
        example = re.fullmatch(r".*\| `(--.*)` \|", row)
        assert read_flags(f"a cat {example[1]}").prompt == "a cat"


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.field)
def test_every_key_is_read_from_a_line_and_written_back(wish):
    if wish.field == "refiner":
        return  # its flag takes a share, too; the keys are two
    value = wish.read(wish.example.strip('"'))
    made = Parameters(**{wish.field: value})
    if wish.field in ("sampler", "schedule"):  # a form shows them apart
        assert line_of(made) == ""
        line = f"{wish.key}: {value}"
    else:
        line = line_of(made)
    assert read_fields(parse_fields(line)).parameters == made


# --- flags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "wishes"),
    [
        ("—hires 2 –denoise 0,4 —vae vae ft mse —clip-skip 2",
         {"hires_scale": 2.0, "denoising_strength": 0.4, "vae": "vae ft mse", "clip_skip": 2}),
        ("--hires", {"hires_scale": 2.0}),
        ("--hr 1.5x", {"hires_scale": 1.5}),
        ("--hires 1024x1536", {"hires_size": (1024, 1536)}),
        ("--hires off", {"hires_scale": 0.0}),
        ("--size 512x768", {"width": 512, "height": 768}),
        ("--variation 5:0.3", {"variation_seed": 5, "variation_strength": 0.3}),
        ("--variation .3", {"variation_strength": 0.3}),
        ("--subseed 5 --subseed_strength 0.3", {"variation_seed": 5, "variation_strength": 0.3}),
        ("--sampler Euler a --steps 20", {"sampler": "Euler a", "steps": 20}),
        ('--hires-prompt "a dog --no hat" --seed 3', {"hires_prompt": "a dog --no hat", "seed": 3}),
        ("--hires-prompt “a dog” --tile off", {"hires_prompt": "a dog", "tiling": False}),
        ("--refiner xl refiner@0.7", {"refiner": "xl refiner", "refiner_at": 0.7}),
        ("--faces gfpgan", {"face_restore": "GFPGAN"}),
        ("--faces", {"face_restore": "on"}),
        ("--emphasis no norm --rng cpu", {"emphasis": "No norm", "noise_source": "CPU"}),
        ("--extend left:64,top=8", {"extend": (64, 0, 8, 0)}),
        ("--extend 16", {"extend": (16, 16, 16, 16)}),
    ],
)  # fmt: skip
def test_flags_as_people_write_them(typed, wishes):
    assert read_flags(f"a cat {typed}") == Flagged("a cat", Parameters(**wishes))


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("--hires big", "flag_value"),
        ("--variation near", "flag_value"),
        ("--size wide", "flag_value"),
        ("--seed-resize 512", "flag_value"),
        ("--rng dice", "flag_choice"),
        ("--faces prettier", "flag_choice"),
        ("--extend up", "flag_value"),
        ("--size 512x512 --width 640", "flag_twice"),
        ("--cfg 5 --cfg-scale 6", "flag_twice"),
        ("--hires-prompt", "flag_value"),
    ],
)
def test_flags_that_cannot_be_read(typed, key):
    with pytest.raises(UserFacingError) as caught:
        read_flags(f"a cat {typed}")
    assert caught.value.key == key


def test_a_value_of_a_flag_can_stand_alone():
    assert read_value("variation", " 5:0.3 ") == Parameters(variation_seed=5, variation_strength=0.3)
    with pytest.raises(UserFacingError, match="flag_value"):
        read_value("variation", "near")


@given(st.text(alphabet='a-—=:1 ,"“”\nhiresnotlvaf', max_size=60))
def test_only_user_errors(typed):
    with contextlib.suppress(UserFacingError):
        read_flags(typed)


# --- the request ------------------------------------------------------------------------------------------------------


def test_a_second_pass():
    hires = build("a cat --hires 2").spec.hires
    assert hires == Hires(scale=2, upscaler="Lanczos", denoising_strength=0.5)
    assert build("a cat --hires-steps 5").spec.hires.steps == 5
    assert build("a cat --hires 1.5 --upscaler Latent").spec.hires.denoising_strength == 0.7
    sized = build("a cat --hires 1024x0 --upscaler 4x-ultrasharp.pth --denoise 0.3 --hires-model second.safetensors")
    assert (sized.spec.hires.resize_width, sized.spec.hires.upscaler) == (1024, "4x-UltraSharp")
    assert (sized.spec.hires.denoising_strength, sized.spec.hires.checkpoint) == (0.3, "second")
    own = build("a cat --hires 2 --hires-sampler DDIM --hires-prompt a dog --hires-no hats").spec.hires
    assert (own.sampler, own.schedule, own.prompt, own.negative_prompt) == ("DDIM", "Automatic", "a dog", "hats")
    assert build("a cat --hires 2 --hires-schedule Karras --sampler Euler").spec.hires.schedule == "Karras"
    bearable = (ModelFact(kind="checkpoint", name="m", defaults={"upscale_denoising": 0.2}),)
    assert build("a cat --hires 2", facts=bearable).spec.hires.denoising_strength == 0.2


def test_a_style_with_a_second_pass_can_be_taken_without_it():
    style = Style(
        name="s", prompt="{prompt}, oil", parameters=StyleParameters(hires_scale=2, hires_steps=7, tiling=True)
    )
    spec = build("a cat --hires-prompt a dog", style=style).spec
    assert (spec.hires.scale, spec.hires.steps, spec.hires.prompt, spec.tiling) == (2, 7, "a dog, oil", True)
    off = build("a cat --hires off --tile off", style=style).spec
    assert (off.hires, off.tiling) == (None, False)


def test_everything_else_of_a_drawing():
    spec = build(
        "a cat --vae vae-ft-mse-840000.safetensors --batch 2 --variation 5:0.3 --seed-resize 384x512 --rng nv "
        "--ensd -3 --emphasis ignore --old-editing --tile --faces --face-visibility 0.5 --refiner second@0.6 --ngms 1 "
        "--eta 0.5 --s-churn 1 --s-tmin 0.1 --s-tmax 9 --s-noise 1.1 --sigma-min 0.1 --sigma-max 9 --rho 5 "
        "--discard-penultimate --zero-snr --downcast-alphas",
    ).spec
    assert (spec.vae, spec.batch_size, spec.seed_resize, spec.noise_source) == (
        "vae-ft-mse-840000",
        2,
        (384, 512),
        "NV",
    )
    assert [(v.seed, v.strength) for v in spec.variations] == [(5, 0.3)]
    assert (spec.ensd, spec.emphasis, spec.old_prompt_editing, spec.tiling) == (-3, "Ignore", True, True)
    assert (spec.face_restore.model, spec.face_restore.visibility) == ("GFPGAN", 0.5)
    assert (spec.refiner.checkpoint, spec.refiner.switch_at) == ("second", 0.6)
    assert (spec.ngms, spec.eta, spec.s_churn, spec.s_tmin, spec.s_tmax, spec.s_noise) == (1, 0.5, 1, 0.1, 9, 1.1)
    assert (spec.sigma_min, spec.sigma_max, spec.rho) == (0.1, 9, 5)
    assert spec.discard_penultimate
    assert spec.zero_terminal_snr
    assert spec.downcast_alphas


def test_a_variation_may_draw_its_own_seed():
    spec = build("a cat --variation 0.3 --seed 7").spec
    assert (spec.seed, spec.variations[0].seed) == (7, Random(1).randrange(4294967294))
    assert build("a cat --variation off").spec.variations == ()


def test_a_lora_by_its_alias():
    assert build("a cat <lora:ink:1>").spec.prompt == "a cat <lora:ink:1>"
    assert build("a cat <lora:ink:1>", lora="ink-v2").spec.prompt == "a cat <lora:ink:1>"
    assert build("a cat", lora="ink").spec.prompt == "a cat <lora:ink-v2:1>"


def test_a_given_picture():
    spec = build("a cat", picture=PICTURE).spec
    assert isinstance(spec, Img2Img)
    assert (spec.width, spec.height, spec.denoising_strength, spec.mask) == (624, 416, 0.75, None)
    assert (spec.image, spec.resize_mode) == (IMAGE, "Just resize")
    assert build("a cat --ar 1:1", picture=PICTURE).spec.resize_mode == "Crop and resize"
    assert build("a cat --width 768", picture=PICTURE).spec.height == 512
    wide = build("a cat --extend left:60 --denoise 1", picture=PICTURE).spec
    assert (wide.width, wide.height, wide.extend.left, wide.denoising_strength) == (688, 416, 64, 1)
    masked = build(
        "a cat --mask-blur 8 --invert-mask --mask-content latent noise --only-masked --padding 16 "
        "--resize resize and fill --exact-steps --color-correction --mask-weight 0.5 --noise-multiplier 1.1 "
        "--extra-noise 0.1 --image-cfg 2",
        picture=GivenPicture(IMAGE, 1200, 800, IMAGE),
    )
    mask = masked.spec.mask
    assert (mask.blur, mask.invert, mask.content, mask.only_masked, mask.padding_px) == (
        8, True, "latent noise", True, 16,
    )  # fmt: skip
    assert masked.spec.resize_mode == "Resize and fill"
    assert (masked.spec.exact_steps, masked.spec.color_correction, masked.spec.mask_weight) == (True, True, 0.5)
    assert (masked.spec.noise_multiplier, masked.spec.extra_noise, masked.spec.image_cfg_scale) == (1.1, 0.1, 2)


def test_notes():
    def keys(*args, **options):
        return [note.key for note in build(*args, **options).notes]

    assert keys("a cat --denoise 0.4") == ["denoise_unused"]
    assert keys("a cat --variation-seed 4") == ["variation_unused"]
    assert keys("a cat --hires 2", picture=PICTURE) == ["hires_not_with_picture"]
    assert keys("a cat", negative="EasyNegative", checkpoint="xl") == ["embedding_unused"]
    assert keys("a cat", negative="(easynegative:1.2)") == []
    idle = "a cat --mask-blur 9 --only-masked --face-weight 0.3 --refiner-at 0.5 --resize fill --extra-noise 0.1"
    (note,) = build(idle.replace("fill", '"resize and fill"')).notes
    assert note.values["names"] == (
        "Face restoration weight, Refiner switch at, Resize mode, Mask blur, Inpaint area, Extra noise"
    )
    assert keys("a cat --mask-blur 9", picture=PICTURE) == ["unused"]
    assert keys("a cat --mask-blur 9 --extra-noise 0.1", picture=replace(PICTURE, mask=IMAGE)) == []
    assert keys("a cat --faces --face-weight 0.3 --refiner second --refiner-at 0.5") == []
    # What a style brings and cannot be used is nobody's mistake.
    assert keys("a cat", style=Style(name="s", prompt="x", parameters=StyleParameters(denoising_strength=0.4))) == []


@pytest.mark.parametrize(
    ("prompt", "options", "key"),
    [
        ("x --vae nothing", {}, "vae_unknown"),
        ("x --vae bad", {}, "vae_unusable"),
        ("x --vae xl-vae", {}, "vae_family"),
        ("x --vae any", {"facts": FACTS[:1]}, "vae_none"),
        ("x --hires 2 --upscaler 4x-Ultra", {}, "upscaler_unknown"),
        ("x --hires 2 --upscaler hurt", {}, "upscaler_unusable"),
        ("x --faces codeformer", {}, "face_missing"),
        ("x --faces", {"facts": FACTS[:1]}, "face_none"),
        ("x --faces gfpgan", {"facts": FACTS[:1]}, "face_none"),
        # A restorer alone finds no faces.
        ("x --faces", {"facts": [fact for fact in FACTS if not fact.name.startswith("detection")]}, "face_none"),
        ("x", {"face_restore": "prettier"}, "face_unknown"),
        ("x --refiner sd_xl_refiner", {}, "partner_family"),
        ("x --refiner nobody", {}, "checkpoint_unknown"),
        ("x --hires 2 --hires-model xl", {}, "partner_family"),
        ("x --hires 2 --hires-sampler Oil", {}, "sampler_unknown"),
        ("x --hires 2 --hires-schedule Oil", {}, "schedule_unknown"),
        ("x --hires 9", {}, "parameter_range"),
        ("x --hires 0.5", {}, "parameter_range"),
        ("x --hires 2 --denoise 1.5", {}, "denoising_range"),
        ("x --hires 2 --denoise 0", {}, "denoising_range"),
        ("x --denoise 2", {"picture": PICTURE}, "denoising_picture_range"),
        ("x --size 1024x1024 --hires 4", {}, "hires_too_large"),
        ("x --hires 256x256", {}, "hires_smaller"),
        ("x --hires 2 --hires-prompt <lora:no:1>", {}, "lora_unknown"),
        ("x --eta 2", {}, "parameter_range"),
        ("x --variation 1.5", {}, "parameter_range"),
        ("x --variation -2:0.5", {}, "seed_range"),
        ("x --seed-resize 4x512", {}, "parameter_range"),
        ("x --mask-blur 99", {"picture": PICTURE}, "parameter_range"),
        ("x --face-weight 2", {}, "parameter_range"),
        ("x --extend left:64", {}, "extend_without_picture"),
        ("x --extend left:2000", {"picture": PICTURE}, "size_too_large"),
        ("x <lora:INK:1>", {}, "lora_unknown"),
        ("x <lora:ink:1>", {"checkpoint": "xl"}, "lora_family"),
    ],
)  # fmt: skip
def test_refusals(prompt, options, key):
    assert refusal(prompt, **options).key == key


def test_a_range_is_told_in_plain_numbers():
    values = refusal("x --ensd 99999999999").values
    assert (values["wish"], values["least"], values["most"]) == ("99999999999", "-4294967296", "4294967296")
    assert refusal("x --eta 1.25").values["wish"] == "1.25"
    assert refusal("x --steps 12345678").values["wish"] == "12345678"


def test_a_too_large_second_pass_names_the_largest():
    scale = refusal("x --size 1024x1024 --hires 4").values["scale"]
    assert build(f"x --size 1024x1024 --hires {scale}").spec.hires.scale == float(str(scale)) == 2.0


# --- recorded requests ------------------------------------------------------------------------------------------------

RICH = build(
    "a cat --hires 1.5 --hires-prompt a dog --vae vae-ft-mse-840000 --tile --variation 5:0.3 --clip-skip 2 --seed 7 "
    "--faces --refiner second@0.6 --rng cpu --eta 0.5 --batch 1",
).spec


@pytest.mark.parametrize(
    "spec",
    [
        RICH,
        build("a cat --hires 800x0 --upscaler Latent").spec,
        build("a cat --extend right:64 --mask-blur 8", picture=GivenPicture(IMAGE, 900, 900, IMAGE)).spec,
        build("a cat --zero-snr --old-editing --emphasis none --seed-resize 64x64").spec,
    ],
)
def test_a_request_comes_back_from_its_own_line(spec):
    wishes = parameters_of(spec)
    read = read_fields(parse_fields(line_of(wishes)))
    assert read.unused == ()
    assert read.parameters == wishes.without("sampler", "schedule")
    picture = GivenPicture(spec.image, 900, 900, spec.mask.image) if isinstance(spec, Img2Img) else None
    again = actions.edit(
        spec, prompt=spec.prompt, negative_prompt="", changes=read.parameters, facts=FACTS, limits=LIMITS,
        rng=Random(2), picture=picture,
    )  # fmt: skip
    assert again.spec == spec


def test_a_size_is_one_key():
    assert shown_fields(Parameters(width=64, height=128)) == {"Size": ("width", "height")}
    assert line_of(Parameters(width=64)) == "Width: 64"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("Steps: many", "parameter_not_number"),
        ("Denoising strength: some", "parameter_not_number"),
        ("RNG: dice", "parameter_choice"),
        ("Tiling: perhaps", "parameter_value"),
        ("Size: wide", "parameter_value"),
    ],
)
def test_lines_that_cannot_be_read(line, key):
    with pytest.raises(UserFacingError) as caught:
        read_fields(parse_fields(line))
    assert caught.value.key == key


def test_buttons_keep_every_parameter():
    enlarged = actions.upscale(RICH, 2, actions.rendered_source(RICH, 2), LIMITS, FACTS)
    assert (enlarged.tiling, enlarged.vae, enlarged.refiner, enlarged.noise_source) == (
        True, RICH.vae, RICH.refiner, "CPU",
    )  # fmt: skip
    assert (enlarged.width, enlarged.height) == actions.picture_size(RICH) == (768, 768)
    assert (enlarged.hires.scale, enlarged.hires.prompt, enlarged.hires.source.type) == (2, "a dog", "rendered")
    varied = actions.vary(enlarged, 0, "subtle", Random(1), LIMITS)
    assert (varied.hires, varied.tiling, len(varied.variations)) == (RICH.hires, True, 2)
    assert actions.reroll(enlarged, Random(1)).hires == RICH.hires
    given = build("a cat", picture=PICTURE).spec
    assert actions.reroll(given, Random(3)).image == IMAGE
    assert actions.vary(given, 1, "strong", Random(3), LIMITS).seed == given.seed + 1
    over = actions.upscale(given, 0, actions.rendered_source(RICH, 0), LIMITS, FACTS)
    assert isinstance(over, Txt2Img)
    assert (over.width, over.height) == (624, 416)


def test_an_edit_to_another_shape_squeezes_nothing():
    """Of a recorded picture only the size that it was drawn at is known."""
    drawn = build("a cat", picture=PICTURE).spec
    known = GivenPicture(drawn.image, drawn.width, drawn.height)

    def edited(**changes):
        return actions.edit(
            drawn, prompt="a cat", negative_prompt="", changes=Parameters(**changes), facts=FACTS, limits=LIMITS,
            rng=Random(1), picture=known,
        ).spec.resize_mode  # fmt: skip

    assert drawn.resize_mode == edited(steps=9) == edited(width=384, height=256) == "Just resize"
    assert edited(width=512, height=512) == "Crop and resize"
    assert edited(width=512, height=512, resize_mode="Just resize") == "Just resize"


def test_a_style_keeps_the_look_with_all_its_parameters():
    look = style_from_spec("mine", RICH).parameters
    assert (look.hires_scale, look.vae, look.tiling, look.noise_source) == (1.5, "vae-ft-mse-840000", True, "CPU")
    assert (look.seed, look.count) == (None, None)
    again = build("a bird", style=Style(name="s", prompt="", parameters=look)).spec
    assert (again.hires.scale, again.tiling, again.refiner) == (1.5, True, RICH.refiner)


# --- pasted texts -----------------------------------------------------------------------------------------------------

INFOTEXT = (
    "a cat <lora:ink:1>\nNegative prompt: bad, worse\nSteps: 25, Sampler: DPM++ 2M Karras, CFG scale: 5.5, Seed: 42, "
    "Size: 512x768, Model hash: 31e35c80fc, Model: dreamshaper, VAE: vae-ft-mse-840000.safetensors, Variation seed: 5, "
    "Variation seed strength: 0.3, Denoising strength: 0.4, Clip skip: 2, Hires upscale: 1.5, Hires steps: 10, "
    "Hires upscaler: 4x-UltraSharp, Tiling: True, Version: v1.6.0"
)


@pytest.mark.parametrize("text", [INFOTEXT, INFOTEXT.replace("\n", " "), INFOTEXT.replace("\n", "\r\n") + "\n"])
def test_a_pasted_infotext_is_the_whole_request(text):
    built = build(text)
    spec = built.spec
    assert [note.key for note in built.notes] == ["pasted"]
    assert (spec.prompt, spec.negative_prompt) == ("a cat <lora:ink:1>", "bad, worse")
    assert (spec.steps, spec.cfg_scale, spec.seed, spec.width, spec.height) == (25, 5.5, 42, 512, 768)
    assert (spec.sampler, spec.schedule, spec.clip_skip, spec.tiling) == ("DPM++ 2M", "Automatic", 2, True)
    assert (spec.vae, spec.count, spec.variations[0].seed) == ("vae-ft-mse-840000", 1, 5)
    hires = spec.hires
    assert (hires.scale, hires.steps, hires.upscaler, hires.denoising_strength) == (1.5, 10, "4x-UltraSharp", 0.4)


def test_options_win_over_a_pasted_text():
    spec = build(INFOTEXT, steps=9, count=4, hires_scale=0.0).spec
    assert (spec.steps, spec.count, spec.hires, spec.seed) == (9, 4, None, 42)


def test_what_a_pasted_text_names_and_is_not_here_is_told():
    text = INFOTEXT.replace("dreamshaper", "gone").replace("4x-UltraSharp", "LDSR").replace("vae-ft-mse-840000", "none")
    built = build(text)
    notes = {note.key: note.values for note in built.notes}
    assert (built.spec.checkpoint, built.spec.vae, built.spec.hires.upscaler) == ("dreamshaper", "Automatic", "Lanczos")
    assert notes["pasted_missing"]["names"] == "gone, none.safetensors, LDSR"
    by_hash = build(INFOTEXT.replace("31e35c80fc", "ab" * 5).replace("dreamshaper", "gone").replace("<lora:ink:1>", ""))
    assert by_hash.spec.checkpoint == "xl"


def test_a_pasted_text_of_img2img_asks_for_its_picture():
    text = INFOTEXT.partition(", Hires upscale")[0] + ", Denoising strength: 0.6"
    assert "pasted_picture" in [note.key for note in build(text).notes]
    assert build(text, picture=PICTURE).spec.denoising_strength == 0.6


def test_a_prompt_that_speaks_of_steps_is_a_prompt():
    assert build("a stair with Steps: 20, very old").spec.prompt == "a stair with Steps: 20, very old"


OUTPAINTED = (
    "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 3, Size: 640x512, Model: dreamshaper, "
    'Denoising strength: 0.8, Pincel extend: "128, 0, 0, 64"'
)


def test_a_pasted_canvas_is_not_extended_twice():
    drawn = build("a cat --extend left:128,bottom:64 --size 512x448 --seed 3", picture=PICTURE).spec
    assert (drawn.width, drawn.height) == (640, 512)
    line = OUTPAINTED.replace("Pincel extend", OwnKey.EXTEND)
    again = build(line, picture=PICTURE).spec
    assert (again.width, again.height, again.extend) == (640, 512, drawn.extend)
    without = build(line)
    assert (without.spec.width, without.spec.height) == (640, 512)
    assert "pasted_picture" in [note.key for note in without.notes]


def test_a_pasted_path_of_variations_is_kept_with_its_seed():
    text = f'{INFOTEXT}, {OwnKey.VARIATION_PATH}: "5:0.3,6:0.12"'
    built = build(text)
    assert [(step.seed, step.strength) for step in built.spec.variations] == [(5, 0.3), (6, 0.12)]
    assert [note.key for note in built.notes] == ["pasted"]
    for wishes in ({"seed": 1}, {"variation_strength": 0.0}):
        built = build(text, **wishes)
        assert built.spec.variations == ()
        assert built.notes[-1].values["names"] == OwnKey.VARIATION_PATH


@pytest.mark.parametrize("between", [" ", "\n", " \n "])
def test_flags_behind_a_pasted_text_are_flags(between):
    built = build(f"{INFOTEXT}{between}--count 2 —steps 9 --no leaves, stem", steps=8)
    spec = built.spec
    assert (spec.count, spec.steps, spec.tiling, spec.seed) == (2, 9, True, 42)
    assert (spec.prompt, spec.negative_prompt) == ("a cat <lora:ink:1>", "bad, worse, leaves, stem")
    assert [note.key for note in built.notes] == ["pasted"]
    built = build(f"{INFOTEXT.replace(', Version: v1.6.0', '')} --v 5 --count 2")
    assert (built.spec.tiling, built.spec.count, built.notes[-1].values["names"]) == (True, 2, "--v")
    quoted = INFOTEXT.replace("Hires upscale", 'Hires prompt: "a dog --no cats", Hires upscale')
    assert build(f"{quoted}{between}--count 3").spec.hires.prompt == "a dog --no cats"
    assert build(quoted).spec.count == 1


def test_a_text_pasted_into_an_edit_stands_above_the_record():
    recorded = RICH.model_copy(update={"negative_prompt": "old"})
    line = parameters_of(recorded)
    built = actions.edit(
        recorded, prompt=INFOTEXT, negative_prompt="old", changes=line, facts=FACTS, limits=LIMITS, rng=Random(1)
    )
    assert built.spec == build(INFOTEXT).spec
    changed = actions.edit(
        recorded, prompt=INFOTEXT, negative_prompt="new", changes=replace(line, steps=7, width=768), facts=FACTS,
        limits=LIMITS, rng=Random(1),
    ).spec  # fmt: skip
    assert (changed.steps, changed.width, changed.height, changed.seed) == (7, 768, RICH.height, 42)
    assert changed.negative_prompt == "new, bad, worse"
