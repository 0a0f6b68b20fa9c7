"""Control units of a request: what belongs together, what a change makes of them, and what is different."""

from random import Random

import pytest

from bot.domain.actions import edit, reroll, upscale, vary
from bot.domain.canvases import zoom
from bot.domain.changes import changes
from bot.domain.control.kinds import KINDS, kind_named, kind_of_model, kind_of_preprocessor, preprocessors_of
from bot.domain.control.models import model_for, require_units
from bot.domain.control.units import UnitWish, make_unit, unit_label, unit_line, with_kind, with_preprocessor
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.pictures import GivenPicture
from bot.domain.regions import redrawn
from bot.errors import UserFacingError
from gpu_worker.language.infotext import build_infotext
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, ImageRef, Img2Img, Mask, StoredSource, Txt2Img

LIMITS = Limits()
NAMES = {
    "control_v11p_sd15_canny": "Canny", "control_v11f1p_sd15_depth": "Depth", "control_v11p_sd15_openpose": "OpenPose",
    "control_v11p_sd15_scribble": "Scribble", "control_v11p_sd15_softedge": "SoftEdge",
    "control_v11f1e_sd15_tile": "Tile", "control_v11p_sd15_lineart": "Lineart",
    "control_v11p_sd15s2_lineart_anime": "Lineart", "control_v11p_sd15_inpaint": "Inpaint",
    "control_v11p_sd15_mlsd": "MLSD", "control_v11p_sd15_normalbae": "NormalMap",
    "control_v11p_sd15_seg": "Segmentation",
    "control_v11e_sd15_shuffle": "Shuffle", "control_v11e_sd15_ip2p": "InstructP2P", "control_sd15_hed": "SoftEdge",
    "t2iadapter_color_sd14v1": "T2I-Adapter", "t2iadapter_keypose_sd14v1": "OpenPose",
    "control_v1p_sd15_qrcode_monster": None, "controlnet-union-sdxl-1.0": None,
}  # fmt: skip
FACTS = (
    ModelFact(kind="checkpoint", name="m", family="sd1", native_px=512),
    ModelFact(kind="checkpoint", name="xl", family="sdxl", native_px=1024),
    *(ModelFact(kind="controlnet", name=name, family="sd1") for name in NAMES if "union" not in name),
    ModelFact(kind="controlnet", name="xl_canny", family="sdxl"),
    ModelFact(kind="controlnet", name="odd", family="sd1"),
)
M, XL = FACTS[:2]
REF = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=1)
OTHER = ImageRef(ref="image:1", sha256="1" * 64, mime="image/png", size_bytes=1)
UNIT = ControlUnit(model="control_v11p_sd15_canny", preprocessor="canny", image=REF, weight=0.5, threshold_a=50)
SPEC = Txt2Img(prompt="a cat", checkpoint="m", width=512, height=512, seed=5, control=(UNIT,))


@pytest.mark.parametrize(("name", "kind"), NAMES.items())
def test_a_models_name_tells_its_type(name, kind):
    found = kind_of_model(name)
    assert (found.name if found else None) == kind


def test_every_type_has_preprocessors_of_the_table_and_a_model_of_the_catalogue():
    there = {entry.name for entry in PREPROCESSOR_TABLE}
    for kind in KINDS:
        assert {entry.name for entry in preprocessors_of(kind)} <= there
        if kind.install is not None and kind.usual in there and kind.usual != "none":
            assert kind_of_preprocessor(kind.usual) is kind
    tags = {entry.tag for entry in PREPROCESSOR_TABLE} - {"All"}
    assert {
        tag for tag in tags if kind_of_preprocessor(next(e.name for e in PREPROCESSOR_TABLE if e.tag == tag)) is None
    } == set()


def test_the_anime_preprocessor_has_its_own_model():
    wish = UnitWish(preprocessor="lineart_anime")
    facts = (*FACTS, ModelFact(kind="annotator", name="netG"))
    assert make_unit(wish, REF, M, facts).model == "control_v11p_sd15s2_lineart_anime"
    assert model_for(kind_named("Lineart"), M, FACTS, "lineart_standard") == "control_v11p_sd15_lineart"


def test_small_models_reckon_the_resolution_unless_it_is_said():
    small = ModelFact(kind="checkpoint", name="small", family="sd1", native_px=128)
    wish = UnitWish(kind="Canny")
    assert [make_unit(wish, REF, model, FACTS).pixel_perfect for model in (M, small)] == [False, True]
    assert not make_unit(UnitWish(kind="Canny", pixel_perfect=False), REF, small, FACTS).pixel_perfect
    assert not make_unit(wish, REF, small, FACTS, UNIT).pixel_perfect


def test_a_type_that_is_chosen_changes_both_and_forgets_the_numbers():
    turned = with_kind(UNIT, kind_named("Tile"), M, FACTS)
    assert (turned.preprocessor, turned.model) == ("tile_resample", "control_v11f1e_sd15_tile")
    assert (turned.threshold_a, turned.weight, turned.image) == (None, 0.5, REF)
    assert with_preprocessor(UNIT, "canny") == UNIT
    with pytest.raises(UserFacingError, match="preprocessor_unknown"):
        with_preprocessor(UNIT, "cany")
    with pytest.raises(UserFacingError, match="control_type_unknown"):
        make_unit(UnitWish(kind="Martian"), REF, M, FACTS)


def test_a_line_says_what_is_not_usual():
    assert unit_label(UNIT) == "canny 0.5"
    assert unit_line(UNIT) == "canny · control_v11p_sd15_canny · Weight 0.5 · Canny Low Threshold 50"
    assert unit_label(ControlUnit(model="odd", image=REF)) == "odd"


def test_what_is_made_of_a_drawing_keeps_its_units():
    rng = Random(1)
    assert vary(SPEC, 0, "subtle", rng).control == SPEC.control
    assert reroll(SPEC, rng).control == SPEC.control
    assert upscale(SPEC, 0, StoredSource(image=OTHER)).control == SPEC.control
    given = GivenPicture(OTHER, 512, 512)
    assert zoom(SPEC, 0, given, 1.5, rng, LIMITS).control == ()
    part = redrawn(SPEC, 0, given, OTHER, (0, 0, 0.5, 0.5), "change", rng, LIMITS, prompt="a hat")
    assert part.control == SPEC.control  # it is cut as the picture is
    colours = UNIT.model_copy(update={"preprocessor": "shuffle"})
    kept = SPEC.model_copy(update={"control": (UNIT, colours)})
    assert zoom(kept, 0, given, 1.5, rng, LIMITS).control == (colours,)


def test_a_unit_of_an_img2img_follows_its_picture_wherever_it_goes():
    follows = UNIT.model_copy(update={"image": None})
    fills = ControlUnit(model="control_v11p_sd15_inpaint", preprocessor="inpaint_only")
    source = Img2Img(
        prompt="a", checkpoint="m", width=512, height=512, seed=5, image=REF, mask=Mask(image=OTHER),
        resize_mode="Resize and fill", control=(follows, fills),
    )  # fmt: skip
    first, second = upscale(source, 0, StoredSource(image=OTHER)).control
    assert (first.image, first.mask, first.resize_mode) == (REF, None, "Resize and Fill")
    assert (second.image, second.mask) == (REF, OTHER)
    # Its picture is taken away: it keeps what it followed.
    built = edited(source, picture=None)
    assert [unit.image for unit in built.spec.control] == [REF, REF]
    assert edited(source, picture=GivenPicture(OTHER, 512, 512)).spec.control == (follows, fills)


def edited(spec, *, picture=None, prompt="a dog", **wishes):
    return edit(
        spec, prompt=prompt, negative_prompt="", changes=Parameters(**wishes), facts=FACTS, limits=LIMITS,
        rng=Random(1), picture=picture,
    )  # fmt: skip


def test_an_edit_keeps_units_and_finds_others_for_another_base_model():
    assert edited(SPEC).spec.control == SPEC.control
    built = edited(SPEC, checkpoint="xl")
    assert [unit.model for unit in built.spec.control] == ["xl_canny"]
    assert built.spec.control[0].weight == 0.5
    assert [note.key for note in built.notes if "control" in note.key] == ["control_other_model"]
    pose = SPEC.model_copy(update={"control": (UNIT.model_copy(update={"preprocessor": "none", "model": "odd"}),)})
    built = edited(pose, checkpoint="xl")
    assert built.spec.control == ()
    assert [note.key for note in built.notes if "control" in note.key] == ["control_dropped"]


LINE = {"Steps": 20, "Sampler": "Euler a", "CFG scale": 7, "Seed": 3, "Size": "512x512", "Model": "m"}
TEXT = build_infotext(
    "a pier", "", LINE | {"ControlNet 0": "Module: canny, Model: control_v11p_sd15_canny, Weight: 1.5"}
)


def test_a_text_about_the_record_takes_its_control_picture():
    built = edited(SPEC, prompt=TEXT)
    assert [(unit.image, unit.weight) for unit in built.spec.control] == [(REF, 1.5)]
    assert built.pending == ()
    other = SPEC.model_copy(update={"control": ()})
    built = edited(other, prompt=TEXT)
    assert built.spec.control == ()
    assert [unit.weight for unit in built.pending] == [1.5]
    assert "control_pictures" in [note.key for note in built.notes]


def test_a_text_with_a_picture_follows_that():
    options = ImagineOptions(TEXT, picture=GivenPicture(REF, 512, 512))
    built = build_imagine(options, facts=FACTS, limits=LIMITS, rng=Random(1))
    assert [(unit.image, unit.weight) for unit in built.spec.control] == [(None, 1.5)]
    assert "control_follows_picture" in [note.key for note in built.notes]


def test_changes_are_told_by_a1111s_names():
    after = UNIT.model_copy(update={"weight": 0.8, "threshold_a": None, "image": OTHER, "pixel_perfect": True})
    second = ControlUnit(model="odd", image=REF)
    found = changes(SPEC, SPEC.model_copy(update={"control": (after, second)}))
    assert [(change.key, change.before, change.after) for change in found] == [
        ("ControlNet 0 Weight", "0.5", "0.8"),
        ("ControlNet 0 Pixel Perfect", "False", "True"),
        ("ControlNet 0 Canny Low Threshold", "50", ""),
        ("ControlNet 0 Picture", "+", "+"),
        ("ControlNet 1", "", "+"),
    ]
    assert [(c.key, c.before, c.after) for c in changes(SPEC, SPEC.model_copy(update={"control": ()}))] == [
        ("ControlNet 0", "+", "")
    ]


@pytest.mark.parametrize(
    ("unit", "key"),
    [
        (UNIT.model_copy(update={"image": None}), "control_picture_missing"),
        (UNIT.model_copy(update={"model": "xl_canny"}), "control_base"),
        (UNIT.model_copy(update={"model": "gone"}), "control_unknown"),
        (UNIT.model_copy(update={"preprocessor": "depth_midas"}), "preprocessor_missing"),
    ],
)
def test_what_cannot_lead_is_refused(unit, key):
    require_units(SPEC, FACTS)
    facts = (*FACTS, ModelFact(kind="annotator", name="another"))
    with pytest.raises(UserFacingError, match=key):
        require_units(SPEC.model_copy(update={"control": (unit,)}), facts)
