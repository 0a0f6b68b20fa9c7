"""Sizes from aspects, completed sides and limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.domain.pictures import GivenPicture, choose_picture_size
from bot.domain.sizes import ASPECTS, aspect_size, check_size, choose_size
from bot.errors import UserFacingError
from bot.settings import Settings
from gpu_worker.protocol.specs import ImageRef

LIMITS = Limits()


@pytest.mark.parametrize(
    ("native", "sizes"),
    [
        (128, [(128, 128), (144, 96), (96, 144), (144, 112), (112, 144), (176, 96), (96, 176), (192, 80)]),
        (512, [(512, 512), (576, 384), (384, 576), (576, 448), (448, 576), (704, 384), (384, 704), (768, 320)]),
        # SDXL's own training buckets.
        (1024, [(1024, 1024), (1216, 832), (832, 1216), (1152, 896), (896, 1152), (1344, 768), (768, 1344),
                (1536, 640)]),
    ],
)  # fmt: skip
def test_every_choice_for_the_known_families(native, sizes):
    assert [aspect_size(aspect, native) for aspect in ASPECTS] == sizes


@given(st.integers(1, 99), st.integers(1, 99), st.sampled_from([128, 256, 512, 768, 1024]))
def test_aspects_come_out_near_what_was_asked(wide, high, native):
    if not 0.25 <= wide / high <= 4:
        with pytest.raises(UserFacingError, match="aspect_extreme"):
            aspect_size(f"{wide}:{high}", native)
        return
    width, height = aspect_size(f"{wide}:{high}", native)
    grid = 64 if native >= 512 else 16
    assert width % grid == height % grid == 0
    assert abs(math.log(width * height / native**2)) < 0.5
    assert abs(math.log(width / height * high / wide)) < 0.4
    assert aspect_size(f"{high}:{wide}", native) == (height, width) or wide == high


@pytest.mark.parametrize("aspect", ["", "wide", "16", "0:3", "a:b", "16:9:2"])
def test_unreadable_aspect(aspect):
    with pytest.raises(UserFacingError) as refusal:
        aspect_size(aspect, 512)
    assert refusal.value.key == "aspect_unreadable"


@pytest.mark.parametrize(
    ("wishes", "size"),
    [
        (Parameters(), (512, 512)),
        (Parameters(width=640), (640, 512)),
        (Parameters(height=768), (512, 768)),
        (Parameters(width=640, height=256), (640, 256)),
        (Parameters(aspect="16:9"), (704, 384)),
        (Parameters(aspect="16:9", width=640), (640, 360)),
        (Parameters(aspect="16:9", height=512), (912, 512)),
    ],
)
def test_choose(wishes, size):
    assert choose_size(wishes, (512, 512), 512, LIMITS) == size


@pytest.mark.parametrize("aspect", ASPECTS)
def test_every_listed_aspect_is_drawn_as_it_is_by_default(aspect):
    limits = Limits(max_side_px=Settings.model_fields["max_side"].default)
    for native in (128, 512, 768, 1024):
        assert choose_size(Parameters(aspect=aspect), (native, native), native, limits) == aspect_size(aspect, native)


IMAGE = ImageRef(ref="input:" + "0" * 64, sha256="0" * 64, mime="image/png", size_bytes=9)


@given(st.integers(64, 2048), st.sampled_from(ASPECTS), st.sampled_from([512, 1024]))
def test_what_nobody_typed_is_made_to_fit_with_its_aspect(side, aspect, native):
    limits = Limits(max_side_px=side, max_pixels=1024 * 1024)
    wide, high = map(int, aspect.split(":"))
    of_aspect = choose_size(Parameters(aspect=aspect), (native, native), native, limits)
    of_picture = choose_picture_size(
        GivenPicture(IMAGE, wide * 100, high * 100), Parameters(), (native,) * 2, native, limits
    )
    for size in (of_aspect, of_picture, choose_size(Parameters(), (native, native), native, limits)):
        check_size(*size, limits)
    for width, height in (of_aspect, of_picture) if side >= 256 else ():
        assert abs(math.log(width / height * high / wide)) < 0.13


def test_a_photo_keeps_its_aspect_where_a_side_is_limited():
    limits = Limits(max_side_px=1024)
    photo = GivenPicture(IMAGE, 1920, 1080)
    assert choose_picture_size(photo, Parameters(), (1024, 1024), 1024, limits) == (1024, 576)
    assert choose_size(Parameters(aspect="16:9"), (1024, 1024), 1024, limits) == (1024, 584)
    assert choose_size(Parameters(), (1024, 1024), 1024, Limits(max_side_px=768)) == (768, 768)


@pytest.mark.parametrize(
    ("width", "height", "key"),
    [(32, 512, "size_too_small"), (4096, 512, "size_too_large"), (510, 512, "size_odd"),
     (2048, 2048, "size_area"), (-8, 512, "size_too_small")],
)  # fmt: skip
def test_refused_sizes(width, height, key):
    with pytest.raises(UserFacingError) as refusal:
        check_size(width, height, LIMITS)
    assert refusal.value.key == key


def test_an_odd_size_names_the_nearest():
    with pytest.raises(UserFacingError) as refusal:
        check_size(510, 512, LIMITS)
    assert refusal.value.values["lower"] == "504×512"
    assert refusal.value.values["upper"] == "512×512"


def test_size_and_aspect_contradict():
    with pytest.raises(UserFacingError) as refusal:
        choose_size(Parameters(width=512, height=512, aspect="16:9"), (512, 512), 512, LIMITS)
    assert refusal.value.key == "size_and_aspect"
