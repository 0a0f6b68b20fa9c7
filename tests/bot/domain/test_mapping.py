"""Which map a wish asks for, and which led a drawing."""

import pytest

from bot.domain.job import model_of, work_units
from bot.domain.mapping import MapWish, choose_preprocessor, map_spec, maps_of, threshold_hints
from bot.domain.named_models import models_of
from bot.domain.safety.texts import given_refs
from bot.errors import UserFacingError
from bot.storage.inputs import given_pictures
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE, find_preprocessor
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, ImageRef, Img2Img, Mask, Preprocess, Txt2Img, Variation

REF = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=1)
OTHER = REF.model_copy(update={"ref": "image:b", "sha256": "1" * 64})
THERE = (ModelFact(kind="annotator", name="ControlNetHED"), ModelFact(kind="checkpoint", name="dreamy"))


def spec(name="canny", size=(300, 200), facts=(), **wish):
    return map_spec(MapWish(name, **wish), REF, size, facts)


def refusal(name="canny", facts=(), **wish):
    with pytest.raises(UserFacingError) as caught:
        spec(name, facts=facts, **wish)
    return caught.value.key


@pytest.mark.parametrize("entry", [entry for entry in PREPROCESSOR_TABLE if entry.name != "none"], ids=lambda e: e.name)
def test_every_preprocessor_with_nothing_but_its_name(entry):
    made = spec(entry.aliases[-1] if entry.aliases else entry.name)
    assert made.preprocessor == entry.name
    assert made.processor_resolution == (entry.resolution or 512)
    assert (made.threshold_a, made.threshold_b) == tuple(
        slider.default if slider is not None else None for slider in (entry.a, entry.b)
    )
    assert Preprocess.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("wish", "target", "perfect", "fit"),
    [
        ({}, (0, 0), False, False),
        ({"width": 640}, (640, 427), True, True),
        ({"height": 640}, (960, 640), True, True),
        ({"height": 2048}, (2048, 2048), True, True),
        ({"width": 640, "height": 64, "resolution": 256}, (640, 64), False, True),
        ({"pixel_perfect": True}, (300, 200), True, False),
        ({"pixel_perfect": False, "width": 128}, (128, 85), False, True),
    ],
)
def test_sizes(wish, target, perfect, fit):
    made = spec(**wish)
    assert ((made.width, made.height), made.pixel_perfect, made.fit) == (target, perfect, fit)


def test_a_very_large_or_long_picture_is_held_to_what_can_be_drawn():
    made = spec(size=(4096, 40), pixel_perfect=True)
    assert (made.width, made.height) == (2048, 64)


def test_one_without_a_resolution_is_never_pixel_perfect():
    made = spec("invert", width=128, height=128)
    assert (made.pixel_perfect, made.fit) == (False, True)


@pytest.mark.parametrize("side", [{"width": 63}, {"height": 2049}])
def test_sizes_that_cannot_be_drawn(side):
    assert refusal(**side) == "map_size"


@pytest.mark.parametrize("resolution", [0, 63, 2049])
def test_resolutions_out_of_range(resolution):
    assert refusal(resolution=resolution) == "preprocessor_resolution"


def test_numbers_out_of_range_are_called_by_their_names():
    with pytest.raises(UserFacingError) as caught:
        spec("mlsd", b=0)
    assert caught.value.values["name"] == "MLSD Distance Threshold"
    assert refusal(a=float("nan")) == "preprocessor_number"


def test_files_are_missing_only_where_something_is_known():
    assert choose_preprocessor("hed", THERE).name == "softedge_hed"
    assert choose_preprocessor("depth", ()).name == "depth_midas"
    assert refusal("depth", THERE) == "preprocessor_missing"
    assert refusal("depth_zoe", THERE) == "preprocessor_missing_file"
    disabled = (THERE[0].model_copy(update={"problem": "disabled"}),)
    assert refusal("hed", disabled) == "model_disabled"


def test_hints_hold_the_default_and_the_ends():
    canny = find_preprocessor("canny")
    assert canny is not None
    assert threshold_hints(canny.a) == [100, 1, 128, 255]
    assert threshold_hints(None) == []


def test_the_maps_of_a_drawing_go_by_its_size_and_seeds():
    units = (
        ControlUnit(model="a", image=OTHER, preprocessor="shuffle", processor_resolution=256),
        ControlUnit(model="b", preprocessor="canny", threshold_a=7, resize_mode="Resize and Fill"),
    )
    drawn = Txt2Img(
        prompt="", checkpoint="c", width=512, height=768, seed=5, variations=(Variation(seed=9, strength=0.5),),
        control=units,
    )  # fmt: skip
    made = maps_of(drawn)
    assert made is not None
    assert [each.preprocessor for each in made.maps] == ["shuffle"], "a unit without a picture leads no txt2img"
    assert (made.seed, made.width, made.height, made.fit, made.brought) == (14, 512, 768, True, None)
    given = drawn.model_dump() | {"image": REF, "resize_mode": "Crop and resize", "mask": Mask(image=OTHER)}
    made = maps_of(Img2Img(**{key: value for key, value in given.items() if key not in ("kind", "hires")}))
    assert made is not None
    own = made.maps[1]
    assert (own.image, own.brought, own.mask, own.threshold_a) == (REF, "Crop and resize", OTHER, 7)
    assert maps_of(drawn.model_copy(update={"control": ()})) is None


def test_every_picture_and_file_of_a_job_is_known():
    third = REF.model_copy(update={"ref": "input:" + "2" * 64})
    made = Preprocess(
        image=REF, preprocessor="hed", mask=OTHER, others=(Preprocess(image=third, preprocessor="dw_openpose_full"),)
    )
    assert [ref.ref for ref in given_pictures(made)] == [REF.ref, OTHER.ref, third.ref]
    assert {ref.ref for ref in given_refs(made)} == {REF.ref, OTHER.ref, third.ref}
    assert models_of(made, THERE) == [("annotator", "ControlNetHED")]
    assert (work_units(made), model_of(made)) == (2.0, "task:preprocess")
